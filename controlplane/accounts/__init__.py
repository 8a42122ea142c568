"""Who may: people, roles, sign-in and its sessions."""

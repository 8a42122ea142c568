"""What happened: one append-only, chained event for each change of state."""

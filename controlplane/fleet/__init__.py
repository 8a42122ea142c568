"""The processes that read releases: what each says it serves, and when each release arrived."""

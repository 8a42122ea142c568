"""API tokens: a person's own keys for programs, and what each may do."""

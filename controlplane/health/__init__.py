"""How calls go, minute by minute: what heartbeats count since a process began, made into what happened when."""

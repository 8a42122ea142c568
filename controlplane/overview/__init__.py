"""The overview: what is live in an environment, what waits, what happened. It only reads."""

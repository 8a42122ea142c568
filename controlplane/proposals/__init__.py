"""Proposals: what is to go live, looked at and agreed to before it does."""

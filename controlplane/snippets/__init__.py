"""Snippets: texts that templates share, put into them when they are saved."""

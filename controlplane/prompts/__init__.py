"""Prompt templates: immutable versions, private drafts, preview."""

"""Trying a template out: its text sent to a model from the site, beside production and never counted as such."""

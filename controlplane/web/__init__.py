"""The web plumbing: Flask and nothing of a feature."""

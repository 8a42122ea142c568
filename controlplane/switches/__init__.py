"""Kill switches: interactions, or everything, taken back to the built-in path at once."""

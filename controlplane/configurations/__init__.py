"""What an interaction uses for a tier (and tenant), in immutable versions."""

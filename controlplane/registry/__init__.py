"""What exists: tiers, models, interactions and environments."""

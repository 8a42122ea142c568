"""What a new installation starts with: tiers, environments, interactions, models, configurations, and one prompt each."""

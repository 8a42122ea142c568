"""Plans: the steps by which a rollout or a gate climbs, taken by the worker in the name of whoever gave it the plan."""

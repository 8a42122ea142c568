"""Guards: what is better known before somebody looks. Each version of a rollout is held against the baseline, all the time."""

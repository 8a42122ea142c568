"""Why somebody gets what they get, now or at any moment of the past. It only reads."""

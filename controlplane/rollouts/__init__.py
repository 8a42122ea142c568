"""Who gets it: shares of units, gates, and the moves between them."""

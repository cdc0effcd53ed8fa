"""Who looks again at the first hits of a search: one file a way."""

"""One file a published method: its paper, what differs, the values."""

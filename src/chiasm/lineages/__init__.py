"""Starting values that families of systems share, so that no system file needs another."""

"""The addresses that a server answers, one file a group."""

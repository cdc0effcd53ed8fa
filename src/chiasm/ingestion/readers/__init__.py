"""One file a kind of file: what it shows and says, as units."""

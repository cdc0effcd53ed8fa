"""A library: a store, the embedder that filled it, indexing and search."""

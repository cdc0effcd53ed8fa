"""Embedders: packaged, taught here, or of others, all behind one verb."""

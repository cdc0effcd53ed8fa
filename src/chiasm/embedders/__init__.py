"""Embedders: published ones as values, how they are taught and judged, and the library's own."""

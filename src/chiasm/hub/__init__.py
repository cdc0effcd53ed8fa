"""Checkpoints in and out: transformers' folders and chiasm's own, read strictly, written whole."""

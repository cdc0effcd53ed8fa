"""Compression attached to models as they are: `compress` and what it returns."""

from chiasm.compressing.context import Compressed, compress

__all__ = ["Compressed", "compress"]

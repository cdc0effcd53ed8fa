"""Compression attached to models as they are: `compress` and what it returns."""

from chiasm.compressing.context import Compressed, compress
from chiasm.compressing.fewer import FewerOperations, fewer_operations

__all__ = ["Compressed", "FewerOperations", "compress", "fewer_operations"]

"""Compression attached to models as they are: `compress` and what it returns."""

from chiasm.compressing.clip_question import ClipQuestion
from chiasm.compressing.context import Compressed, compress
from chiasm.compressing.fewer import FewerOperations, fewer_operations
from chiasm.compressing.head_ratios import head_ratios
from chiasm.compressing.packed_layer import cache_bytes
from chiasm.compressing.visual_cache import VisualCache

__all__ = [
    "ClipQuestion",
    "Compressed",
    "FewerOperations",
    "VisualCache",
    "cache_bytes",
    "compress",
    "fewer_operations",
    "head_ratios",
]

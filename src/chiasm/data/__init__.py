"""Data: media, packaged sets, your own JSON, sample order, tokenizers and prompt templates."""

from chiasm.data.example import Dataset, Example, Turn
from chiasm.data.media import image_size, list_images, read_image
from chiasm.data.registry import load

__all__ = [
    "Dataset",
    "Example",
    "Turn",
    "image_size",
    "list_images",
    "load",
    "read_image",
]

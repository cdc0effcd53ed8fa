"""Question 1: how do raw media become features? One verb, `encode`."""

from chiasm.encoders.none import NoEncoder
from chiasm.encoders.vit import VisionTransformer

__all__ = ["NoEncoder", "VisionTransformer"]

"""Question 7: what comes out? One verb, `emit`."""

from chiasm.heads.none import NoHead
from chiasm.heads.text import TextHead

__all__ = ["NoHead", "TextHead"]

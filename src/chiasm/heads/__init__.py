"""Question 7: what comes out? One verb, `emit`."""

from chiasm.heads.codes import CodeHead
from chiasm.heads.flow import FlowHead
from chiasm.heads.none import NoHead
from chiasm.heads.text import TextHead

__all__ = ["CodeHead", "FlowHead", "NoHead", "TextHead"]

"""Formats that hold no language model: read into chiasm's modules, called like transformers'."""

from chiasm.hub.readers.registry import READERS, Plan, Reader

__all__ = ["READERS", "Plan", "Reader"]

"""Answering: questions about a user's own media, and pictures drawn, from a checkpoint folder."""

from chiasm.answering.ask import Asker
from chiasm.answering.draw import Artist

__all__ = ["Artist", "Asker"]

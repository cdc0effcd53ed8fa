"""Answering: questions about a user's own media, from a checkpoint folder."""

from chiasm.answering.ask import Asker

__all__ = ["Asker"]

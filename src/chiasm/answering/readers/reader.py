"""Whoever answers requests: a search for the best words, a checkpoint, or a server."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from chiasm.answering.requests import Request


@dataclass(frozen=True, kw_only=True)
class Said:
    text: str
    tokens: int = 0
    """Read and written, where the reader counts them."""


class Reader(Protocol):
    """A frozen model."""

    @property
    def name(self) -> str:
        """Which model, with what decides its answers; part of the key of every call."""
        ...

    def ask(self, request: Request, pictures: Sequence[bytes]) -> Said:
        """Answer; `pictures` are the encoded ones of the request, in its order.

        Raises:
            ChiasmError: the model cannot be reached, or cannot answer.
        """
        ...

"""What holds a library's rows: one interface, whatever engine is behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from chiasm.retrieval.unit import Unit
from chiasm.retrieval.where import Where


class Column(StrEnum):
    """A row's vectors, all of one width; either may be missing."""

    WORDS = "words"
    PICTURE = "picture"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A unit as it is stored."""

    unit: Unit
    words: np.ndarray | None = None
    """float32 of unit length, `[width]`."""
    picture: np.ndarray | None = None
    tokens: np.ndarray | None = None
    """float32 of unit length, `[token, width]`, for late interaction."""


Found = tuple[str, float]
"""A unit's id and its score, higher is better."""


class Store(Protocol):
    """Rows by unit id. A call that returns has written: what it wrote outlives a crash."""

    def put(self, rows: Sequence[Row]) -> None:
        """Add rows, in place of those with the same ids; all of them or none."""
        ...

    def delete(self, where: Where) -> int:
        """Remove the rows that a filter selects; how many they were."""
        ...

    def units(self, ids: Sequence[str]) -> list[Unit]:
        """In the order of `ids`; ids that are not there are left out."""
        ...

    def select(self, where: Where) -> list[Row]:
        """The rows that a filter selects, vectors and all; tokens as they are stored."""
        ...

    def files(self) -> dict[str, str]:
        """Path and SHA-256 of every file that has rows."""
        ...

    def count(self, where: Where | None = None) -> int: ...

    def nearest(
        self, column: Column, vector: np.ndarray, k: int, where: Where | None = None
    ) -> list[Found]:
        """The k rows of the largest cosine among those that have the column, best first."""
        ...

    def matching(self, words: str, k: int, where: Where | None = None) -> list[Found]:
        """The k rows whose title, text or path matches best by BM25, best first."""
        ...

    def interacting(self, tokens: np.ndarray, k: int, where: Where | None = None) -> list[Found]:
        """The k rows of the largest MaxSim among those that have tokens, best first."""
        ...

    def maintain(self) -> None:
        """Compact, and bring indexes up to date; searches give the same before and after."""
        ...

    def close(self) -> None: ...

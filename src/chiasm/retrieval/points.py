"""What a Qdrant store asks of the engine, whether in this process or behind a URL."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from chiasm.retrieval.qdrant_filter import Filter

TERMS, TOKENS = "terms", "tokens"
"""Names of the sparse vector of words, and of the many vectors of late interaction."""


@dataclass(frozen=True, kw_only=True)
class Sparse:
    """A vector by its entries that are not 0."""

    indices: list[int]
    values: list[float]


Asked = list[float] | list[list[float]] | Sparse


@dataclass(frozen=True, kw_only=True)
class Point:
    """A row: one UUID, vectors by name, and what else is known, as JSON."""

    id: str
    vectors: Mapping[str, Asked]
    payload: Mapping[str, Any]


def without_terms(vectors: Any) -> Mapping[str, Any]:
    """The dense ones of a point's vectors."""
    return {name: of for name, of in (vectors or {}).items() if name != TERMS}


class Points(Protocol):
    """One collection, made with the sparse vector alone."""

    def widths(self) -> Mapping[str, int]:
        """Of the dense vectors that it has."""
        ...

    def widen(self, name: str, width: int) -> None:
        """A dense vector more: compared by cosine, or by MaxSim if it is that of tokens."""
        ...

    def upsert(self, points: Sequence[Point]) -> None:
        """All or none; on the disk when it returns."""
        ...

    def delete(self, ids: Sequence[str]) -> None: ...

    def count(self, where: Filter | None) -> int: ...

    def get(self, ids: Sequence[str], keys: Sequence[str]) -> list[Mapping[str, Any]]:
        """Payloads, in any order."""
        ...

    def dense(self, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        """By id, the dense vectors of points by name, as they are stored."""
        ...

    def scroll(
        self, where: Filter | None, keys: Sequence[str]
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Every point's id and payload."""
        ...

    def best(
        self, name: str, asked: Asked, k: int, where: Filter | None
    ) -> list[tuple[str, float]]:
        """Units' ids and scores, best first."""
        ...

    def optimise(self) -> None: ...

    def close(self) -> None: ...

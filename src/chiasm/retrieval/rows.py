"""What a store refuses to hold, and how wide its vectors are."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from chiasm.errors import Misuse
from chiasm.retrieval.fields import check_value
from chiasm.retrieval.store import Column, Row
from chiasm.retrieval.unit import Unit

NEAR_UNIT = 1e-3
"""How far a vector's length may be from 1."""


@dataclass(frozen=True)
class Widths:
    """Of a store's vectors; None before the first one."""

    vectors: int | None = None
    tokens: int | None = None

    def after(self, rows: Sequence[Row]) -> "Widths":
        """With some more rows.

        Raises:
            Misuse: an id twice, a vector of another width or not of unit length, metadata that no
                filter could compare, or text that cannot be written as UTF-8.
        """
        twice = [one for one, count in Counter(row.unit.id for row in rows).items() if count > 1]
        if twice:
            raise Misuse(f"unit {twice[0]!r} is given twice at once; give each id once")
        vectors, tokens = self.vectors, self.tokens
        for row in rows:
            check_unit(row.unit)
            for column in Column:
                vector = getattr(row, column)
                if vector is not None:
                    vectors = _checked(row.unit, column, vector, 1, vectors)
            if row.tokens is not None:
                tokens = _checked(row.unit, "tokens", row.tokens, 2, tokens)
        return Widths(vectors, tokens)


def check_unit(unit: Unit) -> None:
    """That its text can be written and its metadata compared."""
    for name in ("id", "file", "path", "title", "text"):
        try:
            getattr(unit, name).encode()
        except UnicodeEncodeError as error:
            raise Misuse(
                f"unit {unit.id!r}: its {name} is no Unicode text: {error.reason}"
            ) from None
    if not unit.id:
        raise Misuse(f"a unit of {unit.path!r} has no id; give one")
    for key, value in unit.metadata.items():
        if not isinstance(value, str | int | float):
            kind = type(value).__name__
            raise Misuse(f"unit {unit.id!r}: metadata {key!r} is a {kind}; give text or a number")
        check_value(f"unit {unit.id!r}: metadata {key}", value)


def check_query(name: str, vectors: np.ndarray, width: int | None, ndim: int) -> np.ndarray:
    """A query's vectors in float32, as wide as the rows' own.

    Raises:
        Misuse: they are not, or are not of unit length.
    """
    _check(f"the query for {name}", vectors, ndim, width, "embed both alike")
    return np.asarray(vectors, np.float32)


def check_count(k: int) -> None:
    if k < 1:
        raise Misuse(f"{k} results asked for; ask for at least 1")


def _checked(unit: Unit, name: str, vectors: np.ndarray, ndim: int, width: int | None) -> int:
    advice = "index again with one embedder"
    return _check(f"unit {unit.id!r}: {name}", vectors, ndim, width, advice)


def _check(what: str, vectors: np.ndarray, ndim: int, width: int | None, advice: str) -> int:
    found = np.asarray(vectors)
    if found.ndim != ndim or not found.size:
        wanted = "[width]" if ndim == 1 else "[token, width]"
        raise Misuse(f"{what} has shape {list(found.shape)}, not {wanted}")
    if width is not None and found.shape[-1] != width:
        raise Misuse(f"{what} is {found.shape[-1]} wide and the rows' are {width}; {advice}")
    lengths = np.linalg.norm(found.astype(np.float64), axis=-1)
    if not np.all(np.abs(lengths - 1) <= NEAR_UNIT):
        raise Misuse(f"{what} has a vector that is not of length 1; normalise it")
    return found.shape[-1]

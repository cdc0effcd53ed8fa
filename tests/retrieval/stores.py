"""Rows drawn for the tests of stores."""

from hashlib import sha256

import numpy as np

from chiasm.retrieval.store import Row
from chiasm.retrieval.unit import Kind, Span, Unit

WIDTH, TOKEN_WIDTH = 16, 8
WORDS = ("cat", "cats", "dog", "bird", "chart", "rising", "falling", "Café", "東京都", "north")
ENDINGS = ("pdf", "PNG", "md", "")
SCRIPTS = ("é'\"", "a\\b", "x%_", "東京", "O'Brien; DROP TABLE units --")


def drawn(generator: np.random.Generator, one: str) -> Row:
    """A row with this id: any column or metadata may be missing."""

    def some(items):
        return items[int(generator.integers(len(items)))]

    kind = some(list(Kind))
    words = " ".join(some(WORDS) for _ in range(int(generator.integers(0, 11))))
    metadata: dict[str, str | int | float] = {}
    if generator.random() < 0.6:
        metadata["year"] = some([1999, 2003, 2003.5, -7, "2003"])
    if generator.random() < 0.6:
        metadata["the 'key\".[0]"] = some(SCRIPTS)
    path = f"docs/{some(WORDS)} {generator.integers(5)}.{some(ENDINGS)}".rstrip(".")
    unit = Unit(
        id=one,
        path=path,
        file=sha256(path.encode()).hexdigest(),
        kind=kind,
        title=some(["", "Annual report", some(SCRIPTS)]),
        text=words,
        spans=(Span(text=words, box=(0.0, 0.25, 0.5, 1.0)),) if words else (),
        page=some([None, 1, 3, 7]),
        start=some([None, 0.0, 1.5]),
        end=some([None, 2.5]),
        picture=some([None, b"\x89PNG not really"]),
        metadata=metadata,
    )
    return Row(
        unit=unit,
        words=unit_vector(generator) if generator.random() < 0.7 else None,
        picture=unit_vector(generator) if generator.random() < 0.5 else None,
        tokens=vectors(generator) if generator.random() < 0.6 else None,
    )


def unit_vector(generator: np.random.Generator, width: int = WIDTH) -> np.ndarray:
    found = generator.normal(size=width)
    return (found / np.linalg.norm(found)).astype(np.float32)


def vectors(generator: np.random.Generator, width: int = TOKEN_WIDTH) -> np.ndarray:
    count = int(generator.integers(1, 12))
    return np.stack([unit_vector(generator, width) for _ in range(count)])

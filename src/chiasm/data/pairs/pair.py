"""Pictures with what they are called, for embedders: one type, and who is held out."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from chiasm.data.example import Picture
from chiasm.errors import Misuse

SPLITS = ("train", "test")
HELD_OUT_BELOW = 51
"""Of 256 values of a hash's last byte: a fifth of the concepts."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One picture, its texts, and the concept that it shares with other pictures of it."""

    id: str
    concept: str
    """Concepts are held out whole: no picture or text of a held-out one is taught."""
    picture: Picture
    texts: tuple[str, ...]
    """In English: its name or caption, then keywords."""
    design: str = ""
    """Whose drawing it is, where one concept is drawn by several."""
    translations: Mapping[str, str] = field(default_factory=dict)
    """Of the first text, by language."""
    spoken: Mapping[str, Path] = field(default_factory=dict)
    """The first text read aloud, by language."""


def split_of(concept: str) -> str:
    """`test` for a fifth of all concepts, by the SHA-256 of their names."""
    last = hashlib.sha256(concept.encode()).digest()[-1]
    return "test" if last < HELD_OUT_BELOW else "train"


def of_split(pairs: tuple[Pair, ...], split: str) -> tuple[Pair, ...]:
    """The pairs of one split.

    Raises:
        Misuse: an unknown split.
    """
    if split not in SPLITS:
        raise Misuse(f"pairs have the splits {', '.join(SPLITS)}, not {split!r}")
    return tuple(pair for pair in pairs if split_of(pair.concept) == split)

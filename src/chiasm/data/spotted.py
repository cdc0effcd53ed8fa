"""Texts of a picture and their boxes, as plain words: written into answers, and read from them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from chiasm.errors import Misuse

Box = tuple[int, int, int, int]
"""(left, top, right, bottom), 0 to 999 of the picture's width and height, ends included."""
CELLS = 1000
"""Cells of an edge."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A text, where it stands, or both.

    Raises:
        Misuse: neither is given; the box leaves the picture or is turned around; the text begins or
            ends with a blank.
    """

    text: str | None = None
    box: Box | None = None

    def __post_init__(self) -> None:
        if self.text is None and self.box is None:
            raise Misuse("a spot has a text or a box; give one of them")
        if self.text is not None and (not self.text or self.text != self.text.strip()):
            raise Misuse(f"{self.text!r} is empty or has blanks at its ends; strip it")
        if self.box is not None:
            left, top, right, bottom = self.box
            if not (0 <= left <= right < CELLS and 0 <= top <= bottom < CELLS):
                raise Misuse(f"box {self.box} is no left, top, right, bottom within 0 to 999")


def celled(box: Sequence[float], size: tuple[int, int]) -> Box:
    """A box in pixels, ends excluded, as cells of a picture of `size` (height, width): the same
    whatever whole number both are multiplied by.
    """
    height, width = size
    edges = (width, height, width, height)
    cells = [CELLS * value / edge for value, edge in zip(box, edges, strict=True)]
    left, top = (min(CELLS - 1, max(0, int(value))) for value in cells[:2])
    right, bottom = (min(CELLS - 1, max(0, -int(-value // 1) - 1)) for value in cells[2:])
    return left, top, max(left, right), max(top, bottom)


def written(spots: Sequence[Spot]) -> str:
    """`text [left,top,right,bottom]; ...`; a backslash precedes `;`, `[` and itself in a text."""
    return "; ".join(" ".join(_parts(spot)) for spot in spots)


def _parts(spot: Spot) -> list[str]:
    parts: list[str] = []
    if spot.text is not None:
        parts.append(re.sub(r"([\\;\[])", r"\\\1", spot.text))
    if spot.box is not None:
        parts.append("[" + ",".join(map(str, spot.box)) + "]")
    return parts


_ENTRIES = re.compile(r"(?:\\.|[^\\;])+|\\$", re.DOTALL)
_ENTRY = re.compile(
    r"\s*(?P<text>(?:\\.|[^\\;\[])*?)\s*"
    r"(?:\[\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*\])?\s*",
    re.DOTALL,
)


def read(answer: str) -> tuple[Spot | None, ...]:
    """The entries of an answer, in order; None for each that is malformed.

    `read(written(spots)) == tuple(spots)`.
    """
    found = (entry for entry in _ENTRIES.findall(answer) if entry.strip())
    return tuple(_entry(entry) for entry in found)


def _entry(entry: str) -> Spot | None:
    match = _ENTRY.fullmatch(entry)
    if match is None:
        return None
    text, *cells = match.groups()
    text = re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL) or None
    left, top, right, bottom = (None if cell is None else int(cell) for cell in cells)
    if left is None or top is None or right is None or bottom is None:
        return Spot(text) if text and text == text.strip() else None
    if left > right or top > bottom or (text is not None and text != text.strip()):
        return None
    return Spot(text, (left, top, right, bottom))


def boxes(spots: Sequence[Spot]) -> tuple[Spot, ...]:
    """Detection's answer within a spotting one."""
    return tuple(Spot(box=spot.box) for spot in spots if spot.box is not None)


def texts(spots: Sequence[Spot]) -> tuple[Spot, ...]:
    """Recognition's answer within a spotting one."""
    return tuple(Spot(text=spot.text) for spot in spots if spot.text is not None)

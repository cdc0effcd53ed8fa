"""What an OCR engine reads on a picture, as a line of words before the question about it."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from chiasm.data import written_words
from chiasm.data.example import Dataset, Example, Turn
from chiasm.data.spotted import Spot, celled

NAME = "written-words-read"
LEAD = "words in the picture: "
"""What comes before the line."""
MOST = 256
"""Words that a line holds at most."""


class Word(Protocol):
    """What engines give: a text, and its left, top, right and bottom as fractions."""

    @property
    def text(self) -> str: ...
    @property
    def box(self) -> tuple[float, float, float, float] | None: ...


def spots_of(words: Iterable[Word]) -> tuple[Spot, ...]:
    """Words of an engine, in cells of the picture; those without a place are left out."""
    return tuple(
        Spot(word.text.strip(), celled(word.box, (1, 1)))
        for word in words
        if word.box is not None and word.text.strip()
    )


def in_reading_order(spots: Sequence[Spot]) -> tuple[Spot, ...]:
    """Line by line from the top, each from the left.

    A word belongs to a line where its middle is above the lower edge of the line's first word.
    """
    placed = [(spot.box, spot) for spot in spots if spot.box is not None]
    lines: list[list[tuple[int, Spot]]] = []
    lower = -1.0
    for (left, top, _, bottom), spot in sorted(placed, key=lambda pair: (pair[0][1], pair[0][0])):
        if (top + bottom) / 2 > lower:
            lines.append([])
            lower = bottom
        lines[-1].append((left, spot))
    return tuple(spot for line in lines for _, spot in sorted(line, key=lambda pair: pair[0]))


def line(spots: Sequence[Spot], most: int = MOST) -> str:
    """`word<box left,top,right,bottom>` of each word, blanks between, in reading order (LLaVA-Read,
    arXiv 2407.19185), the first `most` of them; a backslash precedes `<` and itself in a word.
    """
    told = in_reading_order(spots)[:most]
    return " ".join(
        re.sub(r"([\\<])", r"\\\1", spot.text or "") + f"<box {','.join(map(str, spot.box or ()))}>"
        for spot in told
    )


_ENTRY = re.compile(r"\s*((?:\\.|[^\\<])*)<box (\d+),(\d+),(\d+),(\d+)>", re.DOTALL)


def read_back(told: str) -> tuple[Spot, ...]:
    """The words of a line: `read_back(line(spots)) == in_reading_order(spots)`."""
    found = _ENTRY.findall(told)
    return tuple(
        Spot(
            re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL) or None,
            (int(left), int(top), int(right), int(bottom)),
        )
        for text, left, top, right, bottom in found
    )


def told_before(question: str, spots: Sequence[Spot], most: int = MOST) -> str:
    """The question behind what was read; the question alone where nothing was."""
    said = line(spots, most)
    return f"{LEAD}{said}\n{question}" if said else question


def with_words(example: Example, spots: Sequence[Spot], most: int = MOST) -> Example:
    """An example whose first question, or each of separate ones, follows what was read; images
    stay where they stand in it.
    """
    turns = tuple(
        _behind(turn, spots, most) if example.independent or not number else turn
        for number, turn in enumerate(example.turns)
    )
    return replace(example, turns=turns)


def _behind(turn: Turn, spots: Sequence[Spot], most: int) -> Turn:
    question = told_before(turn.question, spots, most)
    further = len(question) - len(turn.question)
    places = tuple(place + further for place in turn.places)
    return replace(turn, question=question, places=places)


def load(split: str, *, count: int | None = None) -> Dataset:
    """The pages of `written-words`, their words told by a reader that makes no mistake."""
    pages = written_words.load(split, count=count)
    return Dataset(NAME, split, tuple(map(_told, pages.examples)))


def _told(example: Example) -> Example:
    page = example.images[0]
    spots = page.spots() if isinstance(page, written_words.Page) else ()
    return replace(with_words(example, spots), id=example.id.replace(written_words.NAME, NAME, 1))

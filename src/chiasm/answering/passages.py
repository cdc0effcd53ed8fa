"""Passages: stretches of a unit's words that can be scored, quoted and cited by themselves."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from chiasm.answering.records import Evidence
from chiasm.retrieval.unit import Box, Span, Unit

SIZE = 600
"""Characters of a passage (Wiki-LLaVA's)."""
_SENTENCE = re.compile(
    r"""(?<=[.!?])\s+ | (?<=[.!?]["')\]”])\s+ | (?<=[。！？])(?!["'”」]) | \s*\n\s*\n\s*""",
    re.VERBOSE,
)


@dataclass(frozen=True, kw_only=True)
class Passage:
    """Words of one unit, and where they stand."""

    unit: Unit
    text: str
    box: Box | None = None
    start: float | None = None
    end: float | None = None
    spans: tuple[Span, ...] = ()

    def evidence(self, picture: str | None = None) -> Evidence:
        """As it is given to a reader, with the unit's picture where that is shown too."""
        return Evidence(
            unit=self.unit.id,
            path=self.unit.path,
            title=self.unit.title,
            page=self.unit.page,
            box=self.box,
            start=self.start,
            end=self.end,
            quote=self.text,
            spans=self.spans,
            picture=picture,
        )


def whole(unit: Unit) -> Passage:
    """All that a unit says, where the unit stands."""
    return Passage(
        unit=unit,
        text=" ".join(span.text for span in unit.spans) or unit.text,
        box=unit.box,
        start=unit.start,
        end=unit.end,
        spans=unit.spans,
    )


def cut(unit: Unit, size: int = SIZE) -> list[Passage]:
    """The unit's words in passages of at most `size` characters, ended where sentences end if they
    can be; every word is in exactly one. A unit without words gives none.
    """
    pieces = list(_pieces(unit, size))
    passages: list[Passage] = []
    held: list[Span] = []
    for piece in pieces:
        if held and sum(len(one.text) + 1 for one in held) + len(piece.text) > size:
            passages.append(_joined(unit, held))
            held = []
        held.append(piece)
    return [*passages, _joined(unit, held)] if held else passages


def sentences(text: str) -> list[str]:
    """The sentences of a text, as they stand there, without the white space around them."""
    return [one for part in _SENTENCE.split(text) if (one := part.strip())]


def _pieces(unit: Unit, size: int) -> Iterator[Span]:
    """The smallest parts: spans as they were read, or sentences; the long ones cut at spaces."""
    whole_text = Span(text=unit.text, box=unit.box, start=unit.start, end=unit.end)
    for span in unit.spans or (whole_text,):
        parts = [span.text] if len(span.text) <= size and unit.spans else sentences(span.text)
        for part in parts:
            for text in _short(part, size):
                if text.strip():
                    yield replace(span, text=text.strip())


def _short(text: str, size: int) -> Iterator[str]:
    while len(text) > size:
        at = text.rfind(" ", 1, size + 1)
        at = size if at < 1 else at
        yield text[:at]
        text = text[at:].lstrip()
    yield text


def _joined(unit: Unit, spans: Sequence[Span]) -> Passage:
    boxes = [span.box for span in spans if span.box is not None]
    starts = [span.start for span in spans if span.start is not None]
    ends = [span.end for span in spans if span.end is not None]
    return Passage(
        unit=unit,
        text=" ".join(span.text for span in spans),
        box=around(boxes) if boxes else unit.box,
        start=min(starts) if starts else unit.start,
        end=max(ends) if ends else unit.end,
        spans=tuple(spans),
    )


def around(boxes: Sequence[Box]) -> Box:
    """The smallest box that holds all."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)

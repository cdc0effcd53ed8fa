"""Where on a unit's picture the words stand that a search asked for."""

from chiasm.answering.words import content, share
from chiasm.retrieval.unit import Box, Unit

MOST = 3
"""Boxes of one unit."""


def boxes_of(unit: Unit, words: str) -> list[Box]:
    """The places of the spans that hold most of the words, best first; none where none does."""
    wanted = content(words)
    if not wanted or unit.picture is None:
        return []
    scored = [
        (share(wanted, content(span.text)), place)
        for place, span in enumerate(unit.spans)
        if span.box is not None
    ]
    best = sorted((pair for pair in scored if pair[0] > 0), key=lambda pair: (-pair[0], pair[1]))
    boxes = [unit.spans[place].box for _, place in best[:MOST]]
    return [box for box in boxes if box is not None]


def second_of(unit: Unit, words: str) -> float | None:
    """The second at which most of the words are said; the unit's start where none is."""
    wanted = content(words)
    said = [
        (share(wanted, content(span.text)), -span.start)
        for span in unit.spans
        if span.start is not None
    ]
    best = max(said, default=(0.0, 0.0))
    return -best[1] if best[0] > 0 else unit.start

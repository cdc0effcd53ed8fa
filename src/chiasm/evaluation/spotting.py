"""How much of a picture's text was found and read: precision, recall and their harmonic mean."""

from collections.abc import Sequence
from dataclasses import dataclass

from chiasm.data.spotted import Box, Spot, read


@dataclass(frozen=True)
class Found:
    """Counts over one picture or several."""

    matched: int
    said: int
    """Entries of the answers, malformed ones included."""
    there: int

    def __add__(self, other: "Found") -> "Found":
        return Found(self.matched + other.matched, self.said + other.said, self.there + other.there)

    @property
    def precision(self) -> float:
        return self.matched / self.said if self.said else float(not self.there)

    @property
    def recall(self) -> float:
        return self.matched / self.there if self.there else float(not self.said)

    @property
    def f(self) -> float:
        """2 P R / (P + R); 1 where nothing is there and nothing is said."""
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


def found(answer: str, truth: Sequence[Spot], *, overlap: float = 0.5) -> Found:
    """An answer against what is there. Every true spot is matched by one entry at most, nearest
    boxes first: an entry matches where it says the same text, letter case apart, if the truth has a
    text, and where the boxes' IoU is at least `overlap`, if the truth has a box. A malformed entry
    matches nothing.
    """
    said = read(answer)
    pairs = sorted(
        (-_alike(entry, spot, overlap), at, place)
        for at, entry in enumerate(said)
        for place, spot in enumerate(truth)
        if entry is not None and _alike(entry, spot, overlap) > 0
    )
    entries, spots = set[int](), set[int]()
    for _, at, place in pairs:
        if at not in entries and place not in spots:
            entries.add(at)
            spots.add(place)
    return Found(len(entries), len(said), len(truth))


def _alike(entry: Spot, truth: Spot, overlap: float) -> float:
    """IoU where an entry may stand for a true spot, 1 where that has no box; else 0."""
    said = entry.text and entry.text.casefold()
    if truth.text is not None and said != truth.text.casefold():
        return 0.0
    if truth.box is None:
        return 1.0
    shared = 0.0 if entry.box is None else iou(entry.box, truth.box)
    return shared if shared >= overlap else 0.0


def iou(one: Box, other: Box) -> float:
    """Cells of both boxes over cells of either; ends belong to a box."""
    across = min(one[2], other[2]) - max(one[0], other[0]) + 1
    down = min(one[3], other[3]) - max(one[1], other[1]) + 1
    shared = max(0, across) * max(0, down)
    return shared / (_area(one) + _area(other) - shared)


def _area(box: Box) -> int:
    return (box[2] - box[0] + 1) * (box[3] - box[1] + 1)

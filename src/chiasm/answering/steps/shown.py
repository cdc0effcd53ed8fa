"""What is shown of a candidate that is judged: its best passage, its picture, or both."""

from collections.abc import Sequence
from enum import StrEnum

from chiasm.answering.desk import Candidate, Desk
from chiasm.answering.passages import SIZE, Passage
from chiasm.answering.records import Evidence
from chiasm.answering.steps.fitting import Fitted, fitted


class Shown(StrEnum):
    WORDS = "words"
    PICTURE = "picture"
    BOTH = "both"


def shown(desk: Desk, candidates: Sequence[Candidate], how: Shown) -> list[Evidence]:
    """One piece of evidence a candidate, in their order; one without words shows its title."""
    best: dict[int, Fitted] = {}
    if how != Shown.PICTURE:
        for part in fitted(desk, candidates, SIZE):
            if part.place not in best or part.fit > best[part.place].fit:
                best[part.place] = part
    found: list[Evidence] = []
    for place, one in enumerate(candidates):
        bare = Passage(unit=one.unit, text=one.unit.title, box=one.unit.box)
        passage = best[place].passage if place in best else bare
        found.append(passage.evidence(None if how == Shown.WORDS else one.picture))
    return found

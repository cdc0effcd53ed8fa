"""How well each passage of some candidates fits the question."""

from collections.abc import Sequence
from dataclasses import dataclass

from chiasm.answering.desk import Candidate, Desk
from chiasm.answering.passages import Passage, cut
from chiasm.answering.words import content, share


@dataclass(frozen=True, kw_only=True)
class Fitted:
    """A passage of the candidate at `place`, with its fit."""

    place: int
    passage: Passage
    fit: float


def fitted(desk: Desk, candidates: Sequence[Candidate], size: int) -> list[Fitted]:
    """cosine(question, passage) + the share of the question's words in the passage or its unit's
    title, of every passage of every candidate, in their order.
    """
    question = desk.trace.asked().text
    parts = [
        (place, passage) for place, one in enumerate(candidates) for passage in cut(one.unit, size)
    ]
    near = desk.alike(question, [passage.text for _, passage in parts])
    wanted = content(question)
    return [
        Fitted(
            place=place,
            passage=passage,
            fit=round(score + share(wanted, content(f"{passage.unit.title} {passage.text}")), 6),
        )
        for (place, passage), score in zip(parts, near, strict=True)
    ]

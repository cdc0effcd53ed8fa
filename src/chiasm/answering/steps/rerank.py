"""Candidates in a new order: by the passage of each that is nearest to the question."""

from dataclasses import dataclass
from typing import ClassVar

from chiasm.answering.desk import Candidate, Desk
from chiasm.answering.passages import SIZE, cut
from chiasm.answering.words import content, share


@dataclass(frozen=True, kw_only=True)
class ByPassages:
    """score(unit) = max over its passages of cosine(question, passage) + share of the question's
    words in it; a unit without words keeps its place behind those with words.
    """

    name: ClassVar[str] = "rerank"
    size: int = SIZE

    def run(self, desk: Desk) -> None:
        candidates = desk.candidates()
        scores = unit_scores(desk, candidates, self.size)
        order = sorted(range(len(candidates)), key=lambda place: (-scores[place], place))
        desk.rank("reranked", [(candidates[place].unit.id, scores[place]) for place in order])


def unit_scores(desk: Desk, candidates: list[Candidate], size: int) -> list[float]:
    """Of each candidate the score of its best passage, -1 where it has none."""
    question = desk.trace.asked().text
    owners, texts = [], []
    for place, one in enumerate(candidates):
        for passage in cut(one.unit, size):
            owners.append(place)
            texts.append(passage.text)
    near = desk.alike(question, texts)
    wanted = content(question)
    best = [-1.0] * len(candidates)
    for place, text, score in zip(owners, texts, near, strict=True):
        best[place] = max(best[place], round(score + share(wanted, content(text)), 6))
    return best

"""Candidates in a new order: by the passage of each that fits the question best."""

from dataclasses import dataclass
from typing import ClassVar

from chiasm.answering.desk import Desk
from chiasm.answering.passages import SIZE
from chiasm.answering.steps.fitting import fitted


@dataclass(frozen=True, kw_only=True)
class ByPassages:
    """score(unit) = max over its passages of their fit; units without words come last, with -1, in
    the order that they had.
    """

    name: ClassVar[str] = "rerank"
    size: int = SIZE

    def run(self, desk: Desk) -> None:
        candidates = desk.candidates()
        best = [-1.0] * len(candidates)
        for one in fitted(desk, candidates, self.size):
            best[one.place] = max(best[one.place], one.fit)
        order = sorted(range(len(candidates)), key=lambda place: (-best[place], place))
        desk.rank("reranked", [(candidates[place].unit.id, best[place]) for place in order])

"""Candidates in a new order: by the passage of each that fits the question best."""

from dataclasses import dataclass
from typing import ClassVar

from chiasm.answering.desk import Desk
from chiasm.answering.passages import SIZE
from chiasm.answering.steps.fitting import fitted


@dataclass(frozen=True, kw_only=True)
class ByPassages:
    """score(unit) = max over its passages of their fit. A unit without words cannot be judged so:
    it keeps its place, with the score of the unit before it.
    """

    name: ClassVar[str] = "rerank"
    size: int = SIZE

    def run(self, desk: Desk) -> None:
        candidates = desk.candidates()
        best: dict[int, float] = {}
        for one in fitted(desk, candidates, self.size):
            best[one.place] = max(best.get(one.place, one.fit), one.fit)
        worded = iter(sorted(best, key=lambda place: (-best[place], place)))
        score = max(best.values(), default=0.0)
        ranked: list[tuple[str, float]] = []
        for place in range(len(candidates)):
            found = next(worded) if place in best else place
            score = best.get(found, score)
            ranked.append((candidates[found].unit.id, score))
        desk.rank("reranked", ranked)

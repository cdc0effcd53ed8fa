"""Self-reflection: the reader judges each candidate, what does not help is dropped, and where
nothing helps more is looked for.
"""

from dataclasses import dataclass
from typing import ClassVar

from chiasm.answering.desk import Candidate, Desk
from chiasm.answering.requests import Judge, yes
from chiasm.answering.steps.retrieve import By
from chiasm.answering.steps.shown import Shown, shown


@dataclass(frozen=True, kw_only=True)
class Reflect:
    """Keep what helps. Where nothing does, ask the library for the next k units, up to `rounds`
    times in all; where nothing does then either, no candidate is left.
    """

    name: ClassVar[str] = "reflect"
    k: int
    by: By = By.BOTH
    show: Shown = Shown.BOTH
    rounds: int = 2

    def run(self, desk: Desk) -> None:
        candidates, seen = desk.candidates(), set[str]()
        for round_ in range(1, self.rounds + 1):
            kept = self._helpful(desk, candidates)
            seen.update(one.unit.id for one in candidates)
            if kept or round_ == self.rounds:
                break
            desk.note(f"none of {len(candidates)} candidates helps; {self.k} more are looked at")
            more = self._search(desk, self.k * (round_ + 1))
            candidates = [one for one in more if one.unit.id not in seen]
        desk.rank("reflected", [(one.unit.id, one.score) for one in kept])

    def _helpful(self, desk: Desk, candidates: list[Candidate]) -> list[Candidate]:
        question = desk.trace.asked().text
        kept: list[Candidate] = []
        for one, front in zip(candidates, shown(desk, candidates, self.show), strict=True):
            meant = yes(desk.ask(Judge(question=question, candidate=front)))
            if meant is None:
                desk.note(f"neither yes nor no about {one.unit.path}; it is kept")
            if meant is not False:
                kept.append(one)
        return kept

    def _search(self, desk: Desk, k: int) -> list[Candidate]:
        asked = desk.trace.asked()
        images = () if self.by == By.WORDS else asked.images
        words = "" if self.by == By.PICTURES and images else asked.text
        return desk.search(words=words, images=images, k=k)

"""Evidence: the passages of the best candidates that the reader is given."""

from dataclasses import dataclass
from typing import ClassVar

from chiasm.answering.desk import Desk
from chiasm.answering.passages import SIZE, Passage
from chiasm.answering.steps.fitting import fitted


@dataclass(frozen=True, kw_only=True)
class Choose:
    """The `passages` passages that fit best, and the first `pictures` candidates' pictures: each
    with the best chosen passage of its unit, or by itself with the unit's title.
    """

    name: ClassVar[str] = "choose evidence"
    passages: int
    pictures: int = 0
    size: int = SIZE

    def run(self, desk: Desk) -> None:
        candidates = desk.candidates()
        parts = fitted(desk, candidates, self.size)
        order = sorted(range(len(parts)), key=lambda number: (-parts[number].fit, number))
        with_picture = [one for one in candidates if one.picture is not None][: self.pictures]
        shown = {one.unit.id: one.picture for one in with_picture}
        for number in order[: self.passages]:
            passage = parts[number].passage
            desk.trace.append(passage.evidence(shown.pop(passage.unit.id, None)))
        for one in with_picture:
            if one.unit.id in shown:
                bare = Passage(unit=one.unit, text=one.unit.title, box=one.unit.box)
                desk.trace.append(bare.evidence(one.picture))

"""Evidence: the passages of the best candidates that the reader is given."""

from dataclasses import dataclass
from typing import ClassVar

from chiasm.answering.desk import Desk
from chiasm.answering.passages import SIZE, Passage, cut
from chiasm.answering.words import content, share


@dataclass(frozen=True, kw_only=True)
class Choose:
    """The `passages` passages with the highest cosine + share of the question's words, and the
    first `pictures` candidates' pictures; a candidate without words gives its picture alone.
    """

    name: ClassVar[str] = "choose evidence"
    passages: int
    pictures: int = 0
    size: int = SIZE

    def run(self, desk: Desk) -> None:
        candidates = desk.candidates()
        question = desk.trace.asked().text
        parts: list[tuple[int, Passage]] = [
            (place, passage)
            for place, one in enumerate(candidates)
            for passage in cut(one.unit, self.size)
        ]
        near = desk.alike(question, [passage.text for _, passage in parts])
        wanted = content(question)
        scores = [
            score + share(wanted, content(passage.text))
            for (_, passage), score in zip(parts, near, strict=True)
        ]
        order = sorted(range(len(parts)), key=lambda number: (-scores[number], number))
        shown = {
            one.unit.id: one.picture
            for one in [one for one in candidates if one.picture is not None][: self.pictures]
        }
        for number in order[: self.passages]:
            _, passage = parts[number]
            desk.trace.append(passage.evidence(shown.pop(passage.unit.id, None)))
        for one in candidates:
            if shown.pop(one.unit.id, None) is not None:
                bare = Passage(unit=one.unit, text=one.unit.title, box=one.unit.box)
                desk.trace.append(bare.evidence(one.picture))

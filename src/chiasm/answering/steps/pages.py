"""Pages as evidence (SV-RAG): found by late interaction, read in the order of the document."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from chiasm.answering.desk import Candidate, Desk
from chiasm.answering.passages import whole
from chiasm.retrieval.unit import Kind
from chiasm.retrieval.where import Compare

POOL = 256
"""Pages that a search brings before they are compared."""


class PageFace(StrEnum):
    """What of a page is compared: its words, or what it looks like."""

    WORDS = "words"
    PICTURE = "picture"


@dataclass(frozen=True, kw_only=True)
class Pages:
    """The k pages of the largest s(q, p) = sum_i max_j <q_i, p_j>, each whole, in the order in
    which they stand in their documents.
    """

    name: ClassVar[str] = "pages"
    k: int
    by: PageFace = PageFace.WORDS

    def run(self, desk: Desk) -> None:
        question = desk.trace.asked().text
        found = desk.search(words=question, k=POOL, where=Compare("type", "=", str(Kind.PAGE)))
        if len(found) == POOL:
            desk.note(f"the library has more pages than the nearest {POOL}, which were compared")
        scored = self._scored(desk, question, found)
        best = sorted(scored, key=lambda pair: -pair[0])[: self.k]
        desk.rank("pages", [(one.unit.id, score) for score, one in best])
        for _, one in sorted(best, key=lambda pair: (pair[1].unit.path, pair[1].unit.page or 0)):
            desk.trace.append(whole(one.unit).evidence(one.picture))

    def _scored(
        self, desk: Desk, question: str, found: list[Candidate]
    ) -> list[tuple[float, Candidate]]:
        if self.by == PageFace.PICTURE:
            pages = [(one, one.picture) for one in found if one.picture is not None]
            scores = desk.interact(question, pictures=[picture for _, picture in pages])
            return [(score, one) for score, (one, _) in zip(scores, pages, strict=True)]
        held = [one for one in found if one.unit.text.strip()]
        scores = desk.interact(question, texts=[one.unit.text for one in held])
        return list(zip(scores, held, strict=True))

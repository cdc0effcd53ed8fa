"""The answer: the reader's words from the evidence, with its citations checked."""

from dataclasses import dataclass
from typing import ClassVar

from chiasm.answering.citations import cite
from chiasm.answering.desk import Desk
from chiasm.answering.records import Answered
from chiasm.answering.requests import REFUSAL, Read


@dataclass(frozen=True, kw_only=True)
class Answer:
    """Ask the reader; sentences that no evidence supports are marked in the citations."""

    name: ClassVar[str] = "answer"
    closed_book: bool = False
    """Without evidence: ask the model alone, as the papers do, instead of refusing."""

    def run(self, desk: Desk) -> None:
        asked, evidence = desk.trace.asked(), tuple(desk.trace.evidence())
        if not evidence and not self.closed_book:
            desk.trace.append(Answered(text=REFUSAL))
            return
        seen = (one.picture for one in evidence if one.picture is not None)
        pictures = tuple(dict.fromkeys((*asked.images, *seen)))
        text = desk.ask(Read(question=asked.text, evidence=evidence, pictures=pictures)).strip()
        citations = cite(text, evidence)
        desk.trace.append(Answered(text=text, citations=citations))
        loose = sum(not one.supported for one in citations)
        if loose:
            desk.note(f"{loose} of {len(citations)} claims have no support in the evidence")

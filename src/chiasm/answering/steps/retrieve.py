"""Units from the library, by the question's words, its pictures, or both."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from chiasm.answering.desk import Desk
from chiasm.retrieval.where import Where


class By(StrEnum):
    """What of the question is searched with."""

    WORDS = "words"
    PICTURES = "pictures"
    BOTH = "both"


@dataclass(frozen=True, kw_only=True)
class Retrieve:
    """The k best units; where the question shows no picture, by its words whatever is asked."""

    name: ClassVar[str] = "retrieve"
    k: int
    by: By = By.BOTH
    where: Where | None = None

    def run(self, desk: Desk) -> None:
        asked = desk.trace.asked()
        images = () if self.by == By.WORDS else asked.images
        words = "" if self.by == By.PICTURES and images else asked.text
        found = desk.search(words=words, images=images, k=self.k, where=self.where)
        desk.rank("retrieved", [(one.unit.id, one.score) for one in found])

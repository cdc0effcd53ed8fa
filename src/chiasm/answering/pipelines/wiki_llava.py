"""Wiki-LLaVA (arXiv 2404.15406): documents by title or picture, then passages of those.

The published retrievers are CLIP for titles and Contriever for passages; here the library's
embedder compares both, passages by words in common as well. Without documents (`k=0`) the prompt is
the question alone, byte for byte what the model is asked without retrieval.
"""

from dataclasses import dataclass
from typing import ClassVar

from chiasm.answering.pipeline import register_pipeline
from chiasm.answering.steps import Answer
from chiasm.answering.steps.documents import (
    Documents,
    Face,
    GoldDocuments,
    PassagesOfDocuments,
)
from chiasm.answering.steps.step import Step


@register_pipeline("wiki-llava")
@dataclass(frozen=True, kw_only=True)
class WikiLlava:
    """k documents, then `passages` passages; with `gold` those documents in place of the first
    stage, which bounds what a better one could bring.
    """

    name: ClassVar[str] = "wiki-llava"
    k: int = 3
    passages: int = 3
    by: str = Face.TITLE.value
    gold: tuple[str, ...] = ()

    def steps(self) -> tuple[Step, ...]:
        first: Step = Documents(k=self.k, by=Face(self.by))
        if self.gold:
            first = GoldDocuments(paths=tuple(self.gold))
        return (
            first,
            PassagesOfDocuments(passages=self.passages),
            Answer(closed_book=True),
        )

"""Beyond Text (arXiv 2410.21943): RAG over manuals with texts and pictures.

Pictures are found by summaries that the reader writes of each once, or by their embeddings; both
lead to the picture itself, which is what the reader then sees.
"""

from dataclasses import dataclass
from typing import ClassVar

from chiasm.answering.pipeline import register_pipeline
from chiasm.answering.steps import Answer
from chiasm.answering.steps.step import Step
from chiasm.answering.steps.stores import Images, Store, TextsAndImages


@register_pipeline("industrial-rag")
@dataclass(frozen=True, kw_only=True)
class IndustrialRag:
    """k of texts and pictures together, or half of k of each."""

    name: ClassVar[str] = "industrial-rag"
    k: int = 4
    store: str = Store.DUAL.value
    images: str = Images.SUMMARIES.value

    def steps(self) -> tuple[Step, ...]:
        return (
            TextsAndImages(k=self.k, store=Store(self.store), images=Images(self.images)),
            Answer(),
        )

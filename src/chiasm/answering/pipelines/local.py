"""LoCAL, later SV-RAG (arXiv 2411.01106): pages found by late interaction, then read as pictures.

The published system is one model with two sets of low-rank deltas, one to retrieve and one to
answer: `chiasm.answering.two_deltas` swaps them. Here any late-interaction embedder retrieves and
any reader answers; without either, tokens of the packaged sentence model and the extractive reader.
"""

from dataclasses import dataclass
from typing import ClassVar

from chiasm.answering.pipeline import register_pipeline
from chiasm.answering.steps import Answer
from chiasm.answering.steps.pages import PageFace, Pages
from chiasm.answering.steps.step import Step


@register_pipeline("local")
@dataclass(frozen=True, kw_only=True)
class Local:
    """The k best pages, whole and with their pictures, in document order."""

    name: ClassVar[str] = "local"
    k: int = 5
    by: str = PageFace.WORDS.value

    def steps(self) -> tuple[Step, ...]:
        return (Pages(k=self.k, by=PageFace(self.by)), Answer())

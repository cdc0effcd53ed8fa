"""mRAG (arXiv 2505.24073): the design space of multimodal RAG, with self-reflection.

Three factors: what is searched with and what is shown of a candidate; how candidates are reranked;
how many reach the model and whether it judges them first. Nothing is trained.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from chiasm.answering.pipeline import register_pipeline
from chiasm.answering.steps import Answer, Choose, Retrieve
from chiasm.answering.steps.judged import Listwise, Pointwise
from chiasm.answering.steps.reflect import Reflect
from chiasm.answering.steps.retrieve import By
from chiasm.answering.steps.shown import Shown
from chiasm.answering.steps.step import Step


class Rerank(StrEnum):
    NONE = "none"
    POINTWISE = "pointwise"
    LISTWISE = "listwise"


@register_pipeline("mrag")
@dataclass(frozen=True, kw_only=True)
class Mrag:
    """k candidates, reranked and judged by the reader, which answers from those that help; where
    none does it answers without evidence, as the paper's loop does.
    """

    name: ClassVar[str] = "mrag"
    k: int = 5
    by: str = By.BOTH.value
    show: str = Shown.BOTH.value
    rerank: str = Rerank.LISTWISE.value
    shifts: bool = True
    reflect: bool = True
    passages: int = 3
    pictures: int = 1

    def steps(self) -> tuple[Step, ...]:
        by, show = By(self.by), Shown(self.show)
        reranked: dict[Rerank, tuple[Step, ...]] = {
            Rerank.NONE: (),
            Rerank.POINTWISE: (Pointwise(show=show),),
            Rerank.LISTWISE: (Listwise(show=show, shifts=self.shifts),),
        }
        return (
            Retrieve(k=self.k, by=by),
            *reranked[Rerank(self.rerank)],
            *((Reflect(k=self.k, by=by, show=show),) if self.reflect else ()),
            Choose(passages=self.passages, pictures=self.pictures),
            Answer(closed_book=True),
        )

"""Multimodal Neural Databases (arXiv 2305.01447): aggregates over what pictures show.

    answer = aggregate(processor(thing, p) for p in retrieved(thing))

COUNT, MAX and IN as published; which pictures (select) and which pairs (join) beyond it. The
published learned stop of the retriever is not here: pictures are cut at k, or at a cosine.
"""

from dataclasses import dataclass
from typing import ClassVar

from chiasm.answering.database.retrieval import Retrieval
from chiasm.answering.pipeline import register_pipeline
from chiasm.answering.steps.look import LookAndAggregate
from chiasm.answering.steps.step import Step


@register_pipeline("mmndb")
@dataclass(frozen=True, kw_only=True)
class Mmndb:
    """The k pictures nearest to `How many THING are in the image?`, each asked that question."""

    name: ClassVar[str] = "mmndb"
    k: int = 1000
    threshold: float | None = None
    retrieval: str = Retrieval.NEAREST.value
    relevant: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def steps(self) -> tuple[Step, ...]:
        relevant = tuple((thing, tuple(units)) for thing, units in self.relevant)
        return (
            LookAndAggregate(
                k=self.k,
                threshold=self.threshold,
                retrieval=Retrieval(self.retrieval),
                relevant=relevant,
            ),
        )

"""The plain pipeline: retrieve, rerank, read."""

from dataclasses import dataclass
from typing import ClassVar

from chiasm.answering.pipeline import register_pipeline
from chiasm.answering.steps import Answer, ByPassages, Choose, Retrieve
from chiasm.answering.steps.step import Step


@register_pipeline("plain")
@dataclass(frozen=True, kw_only=True)
class Plain:
    """k units for the question, in the order of their best passages; the best passages of all and
    the first pictures go to the reader, which refuses where they hold no answer.
    """

    name: ClassVar[str] = "plain"
    k: int = 10
    passages: int = 5
    pictures: int = 2

    def steps(self) -> tuple[Step, ...]:
        return (
            Retrieve(k=self.k),
            ByPassages(),
            Choose(passages=self.passages, pictures=self.pictures),
            Answer(),
        )

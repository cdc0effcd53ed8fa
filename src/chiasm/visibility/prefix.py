"""Rules of encoders that also answer: the prompt sees itself whole, the answer is causal."""

from dataclasses import dataclass

from torch import Tensor

from chiasm.stream import Role, Rule
from chiasm.stream.rule import Side


@dataclass(frozen=True)
class PromptSeesPrompt(Rule):
    """Rows that are no answer see each other, before and after (prefix language model).

    With `Causal`, prompt P P P and answer A A:

        1 1 1 . .
        1 1 1 . .
        1 1 1 . .
        1 1 1 1 .
        1 1 1 1 1

    A conversation's later turns count as prompt too, so teach one turn a sample.
    """

    def permit(self, q: Side, k: Side) -> Tensor:
        answer = int(Role.ASSISTANT)
        return (q.role != answer) & (k.role != answer)


@dataclass(frozen=True)
class PromptKeys(Rule):
    """A row sees the prompt and no answer: what a tower may read of the text beside it."""

    def permit(self, q: Side, k: Side) -> Tensor:
        return (k.role != int(Role.ASSISTANT)) & (q.order == q.order)

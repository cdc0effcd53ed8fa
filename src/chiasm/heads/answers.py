"""Answers come out, weighed by what kind of answer is asked for."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from chiasm.spec import DrawsNothing, Host, PointsNowhere, Work
from chiasm.spec.work import linear


class AnswerKind(IntEnum):
    """VizWiz's four (arXiv 1802.08218)."""

    YES_NO = 0
    NUMBER = 1
    OTHER = 2
    UNANSWERABLE = 3


NO_KIND = -100
"""Of what is no answer, such as the sign that one has ended."""
_NUMBER = re.compile(r"[0-9]+([.,][0-9]+)?")


def kind_of(answer: str) -> AnswerKind:
    """The kind of an answer, from its words."""
    said = answer.strip().casefold()
    if said in ("yes", "no"):
        return AnswerKind.YES_NO
    if said in ("unanswerable", "unsuitable"):
        return AnswerKind.UNANSWERABLE
    return AnswerKind.NUMBER if _NUMBER.fullmatch(said) else AnswerKind.OTHER


@dataclass(frozen=True, kw_only=True)
class GatedAnswers(DrawsNothing, PointsNowhere):
    """u = W_t h,  g = sigmoid(W_g u),  scores = g * (W_a h)  (Less Is More, arXiv 2206.05281).

    h is `inner` wide, u scores the four kinds of answer, and every gate is above 0, so that no
    score changes its sign. `answers` are the classes; None: the words of the vocabulary. What is
    taught besides: `kind_weight` times the cross-entropy of u.
    """

    inner: int
    answers: int | None = None
    kind_weight: float = 1.0

    def classes(self, host: Host) -> int:
        return host.vocabulary if self.answers is None else self.answers

    def build(self, host: Host, embeddings: nn.Embedding) -> "AnswersAndKinds":
        return AnswersAndKinds(self, self.classes(host))

    def work(self, host: Host, rows: int) -> Sequence[Work]:
        classes = self.classes(host)
        return (
            linear("head", "answers", rows, self.inner, classes),
            linear("head", "kinds", rows, self.inner, len(AnswerKind)),
            linear("head", "gate", rows, len(AnswerKind), classes),
        )


class AnswersAndKinds(nn.Module):
    """`[row, inner]` to scores of the answers; which kind each is, is told by `sort`."""

    kinds: Int[Tensor, " answer"]

    def __init__(self, config: GatedAnswers, classes: int) -> None:
        super().__init__()
        self.weight = config.kind_weight
        self.answer = nn.Linear(config.inner, classes, bias=False)
        self.kind = nn.Linear(config.inner, len(AnswerKind), bias=False)
        self.gate = nn.Linear(len(AnswerKind), classes, bias=False)
        self.register_buffer("kinds", torch.full((classes,), int(AnswerKind.OTHER)))

    def sort(self, answers: Sequence[str]) -> None:
        """Take the kind of every answer from its words; "" has none.

        Raises:
            ValueError: not as many as there are classes.
        """
        found = [int(kind_of(one)) if one.strip() else NO_KIND for one in answers]
        if len(found) != len(self.kinds):
            raise ValueError(f"{len(found)} answers for a head of {len(self.kinds)}")
        self.kinds.copy_(torch.tensor(found))

    def emit(self, hidden: Float[Tensor, "*row inner"]) -> Float[Tensor, "*row answer"]:
        return self.gates(hidden) * self.answer(hidden)

    def gates(self, hidden: Float[Tensor, "*row inner"]) -> Float[Tensor, "*row answer"]:
        """g, between 0 and 1."""
        return self.gate(self.kind(hidden)).sigmoid()

    def auxiliary(
        self, hidden: Float[Tensor, "row inner"], labels: Int[Tensor, " row"]
    ) -> dict[str, Float[Tensor, ""]]:
        """What the head is taught besides its scores: the kind of what comes next."""
        kinds = self.kinds[labels]
        known = (kinds != NO_KIND).sum().clamp(min=1)
        wrong = F.cross_entropy(
            self.kind(hidden).float(), kinds, ignore_index=NO_KIND, reduction="sum"
        )
        return {"answer kind": self.weight * wrong / known}


def answerability(kinds: Float[Tensor, "*row 4"]) -> Float[Tensor, " *row"]:
    """1 - softmax(u) of "unanswerable": how likely a question can be answered at all."""
    return 1 - kinds.softmax(-1)[..., AnswerKind.UNANSWERABLE]

"""Answers come out of every state on the way, by one decoder."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from chiasm.spec import DrawsNothing, Host, PointsNowhere, Work
from chiasm.spec.work import linear


@dataclass(frozen=True, kw_only=True)
class AnswersOfStates(DrawsNothing, PointsNowhere):
    """scores_m = W_2 ReLU(W_1 s_m) of s_0 … s_M, the last of them said (MultiModN, arXiv
    2309.14118).

    `answers` are the classes; None: the words of the vocabulary. Every state on the way is taught
    the same answer: s_0, and each that a modality changed.
    """

    reads_states: ClassVar[bool] = True

    state: int = 50
    hidden: int = 32
    modalities: int = 2
    answers: int | None = None

    def classes(self, host: Host) -> int:
        return host.vocabulary if self.answers is None else self.answers

    def build(self, host: Host, embeddings: nn.Embedding) -> "StateScores":
        return StateScores(self, self.classes(host))

    def work(self, host: Host, rows: int) -> Sequence[Work]:
        return (
            linear("head", "hidden", rows, self.state, self.hidden),
            linear("head", "answers", rows, self.hidden, self.classes(host)),
        )


class StateScores(nn.Module):
    """`[row, (modalities + 1) state + modalities]` to scores of the answers."""

    def __init__(self, config: AnswersOfStates, classes: int) -> None:
        super().__init__()
        self.state, self.modalities = config.state, config.modalities
        self.decoder = nn.Sequential(
            nn.Linear(config.state, config.hidden),
            nn.ReLU(),
            nn.Linear(config.hidden, classes),
        )

    def states(
        self, hidden: Float[Tensor, "*row read"]
    ) -> tuple[Float[Tensor, "*row step state"], Bool[Tensor, "*row step"]]:
        """s_0 … s_M, and which of them are new."""
        states, there = hidden[..., : -self.modalities], hidden[..., -self.modalities :] > 0.5
        return states.unflatten(-1, (self.modalities + 1, self.state)), F.pad(
            there, (1, 0), value=True
        )

    def emit(self, hidden: Float[Tensor, "*row read"]) -> Float[Tensor, "*row answer"]:
        return self.decoder(self.states(hidden)[0][..., -1, :])

    def emit_all(self, hidden: Float[Tensor, "*row read"]) -> Float[Tensor, "*row step answer"]:
        """The scores of every state on the way."""
        return self.decoder(self.states(hidden)[0])

    def auxiliary(
        self, hidden: Float[Tensor, "row read"], labels: Int[Tensor, " row"]
    ) -> dict[str, Float[Tensor, ""]]:
        """What is taught besides the last state's scores: those of the states before it."""
        states, new = self.states(hidden)
        # The last new state is the last state: the objective judges it.
        earlier = new & new.flip(-1).cumsum(-1).flip(-1).gt(1)
        found = self.decoder(states[earlier]).float()
        answers = labels.unsqueeze(-1).expand_as(earlier)[earlier]
        wrong = F.cross_entropy(found, answers, reduction="sum")
        return {"earlier states": wrong / max(1, len(labels))}

"""Text and pictures taught together: two losses of one batch, weighed."""

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor

from chiasm.objectives.flow import RectifiedFlow
from chiasm.objectives.next_token import NextToken


@dataclass(frozen=True, kw_only=True)
class TextAndFlow:
    """`text_weight` times the cross-entropy of labelled rows plus `flow_weight` times the velocity
    error of drafted ones; each is a mean over its own rows (BAGEL, arXiv 2505.14683).

    With a weight of 0 a loss is not computed.
    """

    text: NextToken
    flow: RectifiedFlow
    text_weight: float = 1.0
    flow_weight: float = 1.0

    def judge(
        self,
        logits: Float[Tensor, "row vocabulary"],
        labels: Int[Tensor, " row"],
        total: int | None = None,
    ) -> Float[Tensor, ""]:
        """The text's share of the loss."""
        return self.text_weight * self.text.judge(logits, labels, total)

    def judge_velocity(
        self,
        velocity: Float[Tensor, "row channel"],
        target: Float[Tensor, "row channel"],
        total: int | None = None,
    ) -> Float[Tensor, ""]:
        """The pictures' share of the loss."""
        return self.flow_weight * self.flow.judge(velocity, target, total)

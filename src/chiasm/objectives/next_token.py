"""Next-token cross-entropy on the rows that are taught."""

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class NextToken:
    """-mean log p(next id), over rows whose label is not -100.

    `total` divides by the number of labels of a whole accumulation window instead of this batch's
    own, so that accumulated gradients equal one large batch's.
    """

    def judge(
        self,
        logits: Float[Tensor, "row vocabulary"],
        labels: Int[Tensor, " row"],
        total: int | None = None,
    ) -> Float[Tensor, ""]:
        """Shapes: one row of logits for each label. Raises ValueError when nothing is taught."""
        if labels.numel() == 0:
            raise ValueError("no row of the batch has a label: there is nothing to learn from")
        loss = F.cross_entropy(logits.float(), labels, reduction="sum")
        return loss / (labels.numel() if total is None else total)

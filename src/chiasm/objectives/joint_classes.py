"""Cross-entropy over words and pointers together, with a penalty on the largest scores."""

from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class JointClasses:
    """-mean log p(next id) + `z` mean(logsumexp(the `top` largest logits)^2), over taught rows (v1,
    arXiv 2505.18842); ids from the vocabulary's size on name image rows.

    `total` divides by the number of labels of a whole accumulation window, as in `NextToken`.
    """

    z: float = 1e-5
    top: int = 40

    def judge(
        self,
        logits: Float[Tensor, "row class"],
        labels: Int[Tensor, " row"],
        total: int | None = None,
    ) -> Float[Tensor, ""]:
        """Shapes: one row of logits for each label. Raises ValueError when nothing is taught."""
        if labels.numel() == 0:
            raise ValueError("no row of the batch has a label: there is nothing to learn from")
        logits = logits.float()
        largest = logits.topk(min(self.top, logits.shape[-1]), -1).values
        penalty = self.z * largest.logsumexp(-1).square().sum()
        loss = F.cross_entropy(logits, labels, reduction="sum") + penalty
        return loss / (labels.numel() if total is None else total)

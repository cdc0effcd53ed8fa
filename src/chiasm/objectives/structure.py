"""STRUCTURE (arXiv 2506.16895): what is aligned keeps the neighbourhoods of its originals."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Structure:
    """R = sum_l JS(P^l, Q^l) / l / levels, P and Q the neighbourhoods of originals and aligned.

    Neighbourhoods are softmax(X X^T / temperature) by rows, X at unit length and centred over the
    batch; P^l looks l steps far. JS is the mean over rows, in nats: 0 where the two are alike, at
    most ln 2.
    """

    temperature: float = 0.07
    levels: int = 1

    def judge(
        self, originals: Float[Tensor, "item width"], aligned: Float[Tensor, "item other"]
    ) -> Float[Tensor, ""]:
        """Shapes: the same items in both. No gradient reaches the originals.

        Raises:
            ValueError: unequal batches, or fewer than two items.
        """
        if len(originals) != len(aligned) or len(originals) < 2:
            raise ValueError(
                f"{len(originals)} originals and {len(aligned)} aligned vectors have no "
                "neighbourhoods to compare; give the same two or more items"
            )
        p, q = self._neighbours(originals.detach()), self._neighbours(aligned)
        found, own, other = q.new_zeros(()), p, q
        for level in range(1, self.levels + 1):
            found = found + jensen_shannon(own, other).mean() / level
            own, other = own @ p, other @ q
        return found / self.levels

    def _neighbours(self, x: Tensor) -> Tensor:
        unit = F.normalize(x.float(), dim=-1)
        centred = unit - unit.mean(0)
        return (centred @ centred.T / self.temperature).softmax(-1)


def jensen_shannon(
    p: Float[Tensor, "*row outcome"], q: Float[Tensor, "*row outcome"]
) -> Float[Tensor, "*row"]:
    """(KL(p || m) + KL(q || m)) / 2, m = (p + q) / 2, in nats."""
    m = (p + q) / 2
    return (_kl(p, m) + _kl(q, m)) / 2


def _kl(p: Tensor, m: Tensor) -> Tensor:
    return (torch.xlogy(p, p) - torch.xlogy(p, m)).sum(-1)

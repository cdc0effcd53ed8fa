"""PCME (arXiv 2101.05068): how likely draws of two distributions are to match."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor


def log_match(
    queries: Float[Tensor, "query sample width"],
    items: Float[Tensor, "item sample width"],
    slope: Tensor | float,
    offset: Tensor | float,
) -> tuple[Float[Tensor, "query item"], Float[Tensor, "query item"]]:
    """log p and log(1 - p), p = mean over pairs of draws of sigma(-slope |z - z'| + offset).

    sigma(x) = e^x / (e^x + e^-x), a sigmoid of 2x. Both are made by log-sum-exp, so that distances
    of thousands stay finite.
    """
    apart = torch.cdist(queries.flatten(0, 1), items.flatten(0, 1))
    apart = apart.unflatten(0, queries.shape[:2]).unflatten(-1, items.shape[:2]).transpose(1, 2)
    logits = (2 * (offset - slope * apart)).flatten(2)
    pairs = torch.tensor(logits.shape[-1], dtype=logits.dtype, device=logits.device).log()
    return F.logsigmoid(logits).logsumexp(-1) - pairs, F.logsigmoid(-logits).logsumexp(-1) - pairs


@dataclass(frozen=True, kw_only=True)
class SoftMatching:
    """-log p over pairs that match, -log(1 - p) over the others, summed, each direction once.

    `prior` weighs KL(N(mean, sigma^2) || N(0, I)), which keeps sigma from vanishing.
    """

    prior: float = 1e-5

    def judge(
        self,
        likely: tuple[Float[Tensor, "query item"], Float[Tensor, "query item"]],
        matches: Bool[Tensor, "query item"],
    ) -> Float[Tensor, ""]:
        """Of what `log_match` gives."""
        return -2 * torch.where(matches, *likely).sum()

    def judge_prior(
        self, mean: Float[Tensor, "item width"], log_sigma: Float[Tensor, "item width"]
    ) -> Float[Tensor, ""]:
        """The weighed KL from the standard normal, summed over items."""
        kl = mean.square() + (2 * log_sigma).exp() - 1 - 2 * log_sigma
        return self.prior * kl.sum() / 2

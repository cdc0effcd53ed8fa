"""Bipartite merging (ToMe, arXiv 2210.09461): pairs of like tokens become one, round by round."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from chiasm.compression.evidence import Evidence, Look
from chiasm.compression.merging import pooled
from chiasm.compression.reducer import Reduction


@dataclass(frozen=True, kw_only=True)
class MergeRounds:
    """In each round every second token may join the one of the others that it is most like.

    Sources are the tokens at even places, destinations those at odd places, and the sources of the
    greatest cosine go, at most half the tokens a round, in as few rounds as the budget needs.
    What is left stays in its order, each destination at its own position. `sized`: means weigh a
    token by the number of tokens in it, so that sum size * x is conserved; otherwise all weigh the
    same. `by` is what is compared, and is merged likewise; None: the tokens themselves.
    """

    sized: bool
    by: Look | None = None

    @property
    def needs(self) -> Sequence[Look]:
        return () if self.by is None else (self.by,)

    def apply(self, evidence: Evidence, scores: Tensor, count: int) -> Reduction:
        values = evidence.hidden.float()
        compared = values if self.by is None else evidence.seen[self.by].float()
        index = torch.arange(len(values), device=values.device)
        sizes = values.new_ones(len(values))
        while len(index) > count:
            left = max(count, len(index) - len(index) // 2)
            owner, stays = joined(compared, len(index) - left)
            weights = sizes if self.sized else torch.ones_like(sizes)
            values = pooled(values, owner, left, weights)
            compared = values if self.by is None else pooled(compared, owner, left, weights)
            sizes = sizes.new_zeros(left).index_add(0, owner, sizes)
            index = index[stays]
        return Reduction(index, values.to(evidence.hidden.dtype))

    def macs(self, tokens: int, kept: int, width: int) -> int:
        """Cosines of sources with destinations, round by round."""
        spent = 0
        while tokens > kept:
            spent += (tokens - tokens // 2) * (tokens // 2) * width
            tokens = max(kept, tokens - tokens // 2)
        return spent


def joined(
    compared: Float[Tensor, "token width"], gone: int
) -> tuple[Int[Tensor, " token"], Int[Tensor, " left"]]:
    """After a round in which `gone` sources join: whose each token is, and which are left."""
    turned = normalize(compared.detach(), dim=-1)
    best, match = (turned[::2] @ turned[1::2].T).max(-1)
    sources = best.sort(descending=True, stable=True).indices[:gone]
    owner = torch.arange(len(compared), device=compared.device)
    stays = torch.ones_like(owner, dtype=torch.bool)
    owner[2 * sources] = 2 * match[sources] + 1
    stays[2 * sources] = False
    return (stays.cumsum(0) - 1)[owner], stays.nonzero().flatten()

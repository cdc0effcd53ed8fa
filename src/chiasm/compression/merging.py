"""Tokens that join the ones that stay, as means; no token's content is lost.

An *owner* says, token by token, which of the kept ones it belongs to, by that one's number among
the kept. Sums are taken in float32.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import normalize

from chiasm.compression.evidence import Encoded, Evidence, Look
from chiasm.compression.fates import best
from chiasm.compression.reducer import Reduction


@dataclass(frozen=True, kw_only=True)
class MergeNearest:
    """The best scored stay; every other token joins the one of them that it is most like.

    What stays becomes the mean of itself and its members, all of equal weight (as in VScan,
    arXiv 2505.22654). `by` is what is compared by cosine; None: what the decoder has of each.
    """

    by: Look | None = None

    @property
    def needs(self) -> Sequence[Look]:
        return () if self.by is None else (self.by,)

    def apply(self, evidence: Evidence, scores: Tensor, count: int) -> Reduction:
        index = best(scores, count)
        compared = evidence.hidden if self.by is None else evidence.seen[self.by]
        return Reduction(index, pooled(evidence.hidden, nearest(compared, index), count))

    def macs(self, tokens: int, kept: int, width: int) -> int:
        """Cosines of those that go with those that stay."""
        return (tokens - kept) * kept * width


def nearest(
    compared: Float[Tensor, "token width"], index: Int[Tensor, " kept"]
) -> Int[Tensor, " token"]:
    """For each token the number of the kept one of greatest cosine; a kept one's is its own."""
    turned = normalize(compared.detach().float(), dim=-1)
    owner = (turned @ turned[index].T).argmax(-1)
    owner[index] = torch.arange(len(index), device=owner.device)
    return owner


def pooled(
    values: Float[Tensor, "token width"],
    owner: Int[Tensor, " token"],
    count: int,
    weights: Float[Tensor, " token"] | None = None,
) -> Float[Tensor, "kept width"]:
    """sum_i w_i x_i / sum_i w_i over the tokens i of each owner; without weights the mean."""
    if weights is None:
        weights = values.new_ones(len(values), dtype=torch.float32)
    of = values.new_zeros(count, dtype=torch.float32).index_add(0, owner, weights)
    parts = (values.float() * (weights / of[owner]).unsqueeze(-1)).float()
    sums = parts.new_zeros(count, values.shape[-1]).index_add(0, owner, parts)
    return sums.to(values.dtype)


def pooled_early(
    evidence: Evidence,
    index: Int[Tensor, " kept"],
    owner: Int[Tensor, " token"],
    weights: Float[Tensor, " token"] | None = None,
) -> Reduction:
    """`pooled` of the encoder's features where the host gives them, else of the decoder's rows."""
    features = evidence.seen.get(Encoded())
    if features is None:
        return Reduction(index, pooled(evidence.hidden, owner, len(index), weights))
    return Reduction(index, encoded=pooled(features, owner, len(index), weights))

"""Cluster & Aggregate (arXiv 2504.17892): k-means over a unit's patches, one token a cluster.

Clusters are of the encoder's features scaled to unit length; a token is the plain mean of its
members' features, taken before the projector, so that sizes times means conserve the sum. Where a
host's projector joins several patches into a token, the same is done behind it. Ten of Lloyd's
steps from a k-means++ start that depends on the features, not on their order.

A cluster stands where its member nearest to the mean of its places in raster order stood, so that
clusters follow one another in about the order of those means; the host's positions are those of the
tokens, none is renumbered.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn.functional import normalize

from chiasm.compression.budgets import Share
from chiasm.compression.clustering import clusters
from chiasm.compression.evidence import Encoded, Evidence, Look
from chiasm.compression.merging import pooled_early
from chiasm.compression.method import HostShape, register_method
from chiasm.compression.reducer import Reducer, Reduction, Scope, Site
from chiasm.compression.scorers import Alike


@register_method("token-sequence-compression")
@dataclass(frozen=True, kw_only=True)
class TokenSequenceCompression:
    """One step before the first layer, unit by unit."""

    keep: float
    rounds: int = 10
    seed: int = 0

    def reducers(self, shape: HostShape) -> tuple[Reducer, ...]:
        return (
            Reducer(
                site=Site(),
                scope=Scope.UNIT,
                scorer=Alike(),
                budget=Share(self.keep),
                fate=ClusterMeans(rounds=self.rounds, seed=self.seed),
            ),
        )


@dataclass(frozen=True, kw_only=True)
class ClusterMeans:
    """As many clusters as are to stay, each its members' mean."""

    rounds: int
    seed: int

    @property
    def needs(self) -> Sequence[Look]:
        return (Encoded(),)

    def apply(self, evidence: Evidence, scores: Tensor, count: int) -> Reduction:
        features = evidence.seen.get(Encoded(), evidence.hidden)
        compared = normalize(features.detach().float(), dim=-1)
        found = clusters(compared, count, rounds=self.rounds, seed=self.seed)
        middles = middle_members(found)
        index, places = middles.sort()
        return pooled_early(evidence, index, places.argsort()[found])

    def macs(self, tokens: int, kept: int, width: int) -> int:
        """Distances of all to all centres, in the start and in every step."""
        return (self.rounds + 2) * tokens * kept * width


def middle_members(found: Int[Tensor, " token"]) -> Int[Tensor, " cluster"]:
    """Of each cluster the member nearest to the mean of its numbers; of two the earlier."""
    numbers = torch.arange(len(found), device=found.device, dtype=torch.float64)
    sizes = found.bincount()
    means = torch.zeros_like(sizes, dtype=numbers.dtype).index_add(0, found, numbers) / sizes
    gaps = (numbers - means[found]).abs()
    order = gaps.argsort(stable=True)
    order = order[found[order].argsort(stable=True)]
    return order[sizes.cumsum(0) - sizes]

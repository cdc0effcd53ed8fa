"""AIM (arXiv 2412.03248): like tokens of a frame become one, then PageRank thins out mid-stack.

(a) Before the first layer, frame by frame: bipartite merging on the features themselves, means of
equal weight. (b) Before layer l of L the share of the merged tokens that are left falls in a line
from all to none,

    rate(l) = 1 - min(1, max(0, (l - s + 1) / (e - s + 1))),    s = 14, e = 21 of 28,

and those go that PageRank on the attention of the layer before ranks last: M = softmax(z / 0.1) of
its masked logits z, p uniform, five times p <- p M, root mean square over heads. No text is ranked.

`keep` is the mean of rate times the share merged to; the paper's 25% is keep = 5/32. Above the mean
of the rates, nothing is merged and the line falls less deep: 1 - c (1 - rate).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from chiasm.compression.budgets import Nothing, Share
from chiasm.compression.evidence import Asks, DecoderAttention, Evidence, Look
from chiasm.compression.fates import Drop
from chiasm.compression.matching import MergeRounds
from chiasm.compression.method import HostShape, register_method
from chiasm.compression.reducer import Reducer, Scope, Site
from chiasm.compression.scorers import Alike


@register_method("aim")
@dataclass(frozen=True, kw_only=True)
class Aim:
    """Merging before the decoder, a schedule of layers within."""

    keep: float

    def schedule(self, shape: HostShape) -> tuple[float, tuple[float, ...]]:
        """The share merged to, and the share of these that each layer runs."""
        start = shape.layer(14, of=28)
        end = max(start, shape.layer(21, of=28))
        steps = end - start + 1
        gone = [min(1.0, max(0, at - start + 1) / steps) for at in range(shape.depth)]
        mean = 1 - sum(gone) / shape.depth
        depth = min(1.0, (1 - self.keep) / (1 - mean))
        return min(1.0, self.keep / mean), tuple(1 - depth * share for share in gone)

    def reducers(self, shape: HostShape) -> tuple[Reducer, ...]:
        merged, rates = self.schedule(shape)
        found: list[Reducer] = []
        if merged < 1:
            found.append(
                Reducer(
                    site=Site(),
                    scope=Scope.UNIT,
                    scorer=Alike(),
                    budget=Share(merged),
                    fate=MergeRounds(sized=False),
                )
            )
        for layer in range(1, shape.depth):
            before, now = rates[layer - 1], rates[layer]
            if now < before:
                found.append(
                    Reducer(
                        site=Site(layer=layer),
                        scope=Scope.SAMPLE,
                        scorer=PageRank(),
                        budget=Share(now / before) if now > 0 else Nothing(),
                        fate=Drop(),
                    )
                )
        return tuple(found)


PAPER = Aim(keep=5 / 32)
"""On 28 layers: merged to 25%, then seven eighths of that before layer 14, none before layer 21."""


@dataclass(frozen=True, kw_only=True)
class PageRank:
    """How much attention ends up at a token: sqrt(mean_h (1/N ... 1/N) M_h^steps squared)."""

    steps: int = 5
    temperature: float = 0.1

    @property
    def look(self) -> DecoderAttention:
        return DecoderAttention(asks=Asks.ALL, back=1, logits=True)

    @property
    def needs(self) -> Sequence[Look]:
        return (self.look,)

    def score(self, evidence: Evidence) -> Float[Tensor, " token"]:
        logits = evidence.seen[self.look].float()
        moves = (logits / self.temperature).softmax(-1)
        rank = torch.full_like(logits[:, :1], 1 / logits.shape[-1])
        for _ in range(self.steps):
            rank = rank @ moves
        return rank.squeeze(1).square().mean(0).sqrt()[evidence.row]

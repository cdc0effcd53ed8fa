"""VScan (arXiv 2505.22654): local and global picks of the encoder, then the last row's picks.

Stage 1, unit by unit: half of the R tokens kept are local, the same number from each window of the
grid, by the attention of a shallow block (5 of 24); the others are global, the best left by that of
the block before the last. Attention is the class token's, or, in an encoder without one, what a
patch receives (windows of 4 and the last block then, as for Qwen2.5-VL). Every other token joins
the kept one it is most like, as a mean of equal weights.

Stage 2, before layer k (16 of 32): of the tokens left, the share `later` that the last row attends
to most in that layer stays. The paper keeps 96, then 32 of 576:

    keep = (k r + (L - k) r later) / L,    r = R / N,    later = 1/3.

Where r would be above 1, all are kept in stage 1 and `later` grows instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from chiasm.compression.budgets import Share
from chiasm.compression.evidence import Asks, BlockLook, Evidence, Look
from chiasm.compression.fates import Drop, best
from chiasm.compression.looks import attention_look
from chiasm.compression.merging import nearest, pooled
from chiasm.compression.method import HostShape, register_method, two_stages
from chiasm.compression.reducer import Reducer, Reduction, Scope, Site
from chiasm.compression.scorers import Attended, Looked


@register_method("vscan")
@dataclass(frozen=True, kw_only=True)
class VScan:
    """Two stages; `window` is the side of a window on the tokens' grid, None: the paper's."""

    keep: float
    later: float = 1 / 3
    window: int | None = None

    def shares(self, layer: int, depth: int) -> tuple[float, float]:
        """What stays in the first stage, and what of that in the second."""
        return two_stages(self.keep, layer, depth, self.later)

    def reducers(self, shape: HostShape) -> tuple[Reducer, ...]:
        layer = shape.layer(16, of=32)
        first, second = self.shares(layer, shape.depth)
        last = shape.penultimate if shape.class_token else shape.block(1, of=1)
        stages = (
            Reducer(
                site=Site(),
                scope=Scope.UNIT,
                scorer=Looked(look=attention_look(shape, last)),
                budget=Share(first),
                fate=WindowsThenMerge(
                    local=attention_look(shape, shape.block(5, of=24)),
                    window=self.window or (6 if shape.class_token else 4),
                ),
            ),
            Reducer(
                site=Site(layer=layer),
                scope=Scope.SAMPLE,
                scorer=Attended(asks=Asks.LAST),
                budget=Share(second),
                fate=Drop(),
            ),
        )
        shares = (first, second)
        return tuple(stage for stage, share in zip(stages, shares, strict=True) if share < 1)


@dataclass(frozen=True, kw_only=True)
class WindowsThenMerge:
    """Half the kept are the best of every window by `local`, half the best left by their scores."""

    local: BlockLook
    window: int

    @property
    def needs(self) -> Sequence[Look]:
        return (self.local,)

    def apply(self, evidence: Evidence, scores: Tensor, count: int) -> Reduction:
        picked = self.picks(evidence, count)
        others = (~picked).nonzero().flatten()
        picked[others[best(scores[others], count - evidence.tokens + len(others))]] = True
        index = picked.nonzero().flatten()
        owner = nearest(evidence.hidden, index)
        return Reduction(index, pooled(evidence.hidden, owner, count))

    def picks(self, evidence: Evidence, count: int) -> Tensor:
        """Which tokens are the local half: equally many of each window, as the half allows."""
        placed = evidence.place[:, 0] >= 0
        windows = windows_of(evidence.place, self.window).where(placed, -1)
        each = count // 2 // max(1, len(windows[placed].unique()))
        return placed & (rank_within(evidence.seen[self.local], windows) < each)

    def macs(self, tokens: int, kept: int, width: int) -> int:
        """Cosines of those that join with those that stay."""
        return (tokens - kept) * kept * width


def windows_of(place: Int[Tensor, "token 2"], side: int) -> Int[Tensor, " token"]:
    """The number of each token's window of `side` x `side` places."""
    rows, columns = place.div(side, rounding_mode="floor").unbind(-1)
    return rows * (columns.max() + 1) + columns


def rank_within(
    scores: Float[Tensor, " token"], groups: Int[Tensor, " token"]
) -> Int[Tensor, " token"]:
    """How many tokens of its own group come before each: higher scores, of equal ones earlier."""
    order = scores.sort(descending=True, stable=True).indices
    order = order[groups[order].sort(stable=True).indices]
    sorted_groups = groups[order].contiguous()
    starts = torch.searchsorted(sorted_groups, sorted_groups)
    ranks = torch.arange(len(order), device=order.device) - starts
    return torch.empty_like(ranks).scatter(0, order, ranks)

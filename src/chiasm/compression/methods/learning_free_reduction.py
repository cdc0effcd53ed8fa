"""LFTR (arXiv 2501.17391): clips lose what repeats in time, then frames what repeats in space.

The paper names the two stages, not their scores; these are:

Temporal, cell by cell of the grid: r is the last kept token of a cell, s = cos(x_t, r). Where s is
above the threshold, x_t folds into r, a running mean with its size; else it is kept and is the new
r. A first frame is always kept. The threshold is the quantile of cosines of neighbouring frames at
which the share rho_t of the clip would stay, or is given; nothing that is equal is kept twice.

Spatial, frame by frame: a token's redundancy is the mean of its five greatest cosines to others of
its frame; the most redundant go until the budget is met, in proportion to what each frame has, and
each joins the kept token of its frame that it is most like, as means weighted by sizes.

rho_t rho_s = keep, both its root in a clip; a picture has no time, so rho_s = keep. Tokens keep
their places and positions, and a kept token is the mean of all that is in it.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import cosine_similarity, normalize

from chiasm.compression.alive import in_proportion
from chiasm.compression.budgets import Share
from chiasm.compression.evidence import Evidence, Look
from chiasm.compression.merging import pooled
from chiasm.compression.method import HostShape, register_method
from chiasm.compression.reducer import Reducer, Reduction, Scope, Site
from chiasm.compression.scorers import Alike

EQUAL = 1 - 1e-5
"""A cosine above which two tokens are the same but for rounding."""
BELOW = -2.0
"""Less than any cosine."""


@register_method("learning-free-reduction")
@dataclass(frozen=True, kw_only=True)
class LearningFreeReduction:
    """`temporal` is rho_t, None: the root of `keep`; `threshold` fixes the cosine instead."""

    keep: float
    temporal: float | None = None
    threshold: float | None = None
    neighbours: int = 5

    def reducers(self, shape: HostShape) -> tuple[Reducer, ...]:
        temporal = math.sqrt(self.keep) if self.temporal is None else self.temporal
        return (
            Reducer(
                site=Site(),
                scope=Scope.ITEM,
                scorer=Alike(),
                budget=Share(self.keep),
                fate=TimeThenSpace(
                    temporal=temporal, threshold=self.threshold, neighbours=self.neighbours
                ),
            ),
        )


@dataclass(frozen=True, kw_only=True)
class TimeThenSpace:
    """Both stages over one item."""

    temporal: float
    threshold: float | None
    neighbours: int

    @property
    def needs(self) -> Sequence[Look]:
        return ()

    def apply(self, evidence: Evidence, scores: Tensor, count: int) -> Reduction:
        values = evidence.hidden.detach().float()
        table = cell_table(evidence)
        threshold = self.threshold
        if threshold is None:
            threshold = quantile(values, table, self.temporal)
        owner = fold(values, table, min(threshold, EQUAL))
        left = owner.unique()
        inside = torch.searchsorted(left, owner)
        means = pooled(values, inside, len(left))
        joins = thin(means, evidence.unit[left], count, self.neighbours)
        index, final = left[joins][inside].unique(return_inverse=True)
        return Reduction(index, pooled(evidence.hidden, final, len(index)))

    def macs(self, tokens: int, kept: int, width: int) -> int:
        """Cosines in time; those in space are counted as of one frame, which is the most."""
        left = max(kept, int(self.temporal * tokens))
        return 2 * tokens * width + left * left * width


def cell_table(evidence: Evidence) -> Int[Tensor, "frame cell"]:
    """Which token each frame has in each cell of the grid, -1 for none."""
    placed = (evidence.place[:, 0] >= 0).nonzero().flatten()
    if not len(placed):
        return placed.new_empty(0, 0)
    _, frames = evidence.unit[placed].unique(return_inverse=True)
    _, cells = evidence.place[placed].unique(dim=0, return_inverse=True)
    table = placed.new_full((int(frames.max()) + 1, int(cells.max()) + 1), -1)
    table[frames, cells] = placed
    return table


def quantile(
    values: Float[Tensor, "token width"], table: Int[Tensor, "frame cell"], share: float
) -> float:
    """The cosine of neighbouring frames above which 1 - `share` of all the table's tokens lie."""
    both = (table[1:] >= 0) & (table[:-1] >= 0)
    cosines = cosine_similarity(values[table[1:][both]], values[table[:-1][both]], dim=-1)
    going = round((1 - share) * int((table >= 0).sum()))
    if going >= len(cosines):
        return BELOW
    return float(cosines.sort(descending=True).values[going])


def fold(
    values: Float[Tensor, "token width"], table: Int[Tensor, "frame cell"], threshold: float
) -> Int[Tensor, " token"]:
    """For each token the one that holds it behind the temporal stage, cell by cell."""
    owner = torch.arange(len(values), device=values.device)
    if not table.numel():
        return owner
    last = torch.full_like(table[0], -1)
    mean, size = values.new_zeros(len(last), values.shape[1]), values.new_zeros(len(last), 1)
    for frame in table:
        here = frame >= 0
        shown = values[frame]
        folds = here & (last >= 0) & (cosine_similarity(shown, mean, dim=-1) > threshold)
        starts = here & ~folds
        size = torch.where(folds[:, None], size + 1, torch.where(starts[:, None], 1, size))
        mean = torch.where(folds[:, None], mean + (shown - mean) / size, mean)
        mean = torch.where(starts[:, None], shown, mean)
        last = torch.where(starts, frame, last)
        owner[frame[here]] = last[here]
    return owner


def thin(
    values: Float[Tensor, "token width"], frame: Int[Tensor, " token"], count: int, neighbours: int
) -> Int[Tensor, " token"]:
    """For each token the one it joins behind the spatial stage, itself if it stays."""
    numbers = torch.arange(len(values), device=values.device)
    if count >= len(values):
        return numbers
    turned = normalize(values, dim=-1)
    members = [(frame == one).nonzero().flatten() for one in frame.unique()]
    stays = torch.zeros_like(numbers, dtype=torch.bool)
    shares = in_proportion([len(one) for one in members], count)
    for inside, share in zip(members, shares, strict=True):
        likeness = turned[inside] @ turned[inside].T
        likeness.fill_diagonal_(BELOW)
        near = likeness.topk(min(neighbours, max(1, len(inside) - 1))).values
        stays[inside[near.mean(-1).sort(stable=True).indices[:share]]] = True
    owner = numbers.clone()
    kept_anywhere = stays.nonzero().flatten()
    for inside in members:
        kept = inside[stays[inside]]
        # A frame of which nothing stays joins what stays of the others.
        kept = kept if len(kept) else kept_anywhere
        goes = inside[~stays[inside]]
        owner[goes] = kept[(turned[goes] @ turned[kept].T).argmax(-1)]
    return owner

"""Tokens that go are recycled: each cell of the grid leaves one token for them (VFlowOpt)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from chiasm.compression.evidence import Evidence, Look
from chiasm.compression.merging import pooled
from chiasm.compression.reducer import Reduction


@dataclass(frozen=True, kw_only=True)
class Recycle:
    """The least important tokens go, and those of a cell become their mean weighted by importance.

    A cell is the places of a unit with equal floor(place / cell); its token stands at its most
    important member. As many go as leave `count` tokens, those of the cells included; cells grow
    where there are more of them than that.
    """

    cell: float

    @property
    def needs(self) -> Sequence[Look]:
        return ()

    def apply(self, evidence: Evidence, scores: Tensor, count: int) -> Reduction:
        cells = cells_of(evidence, self.cell, count)
        goes = leaving(scores, cells, count)
        order = scores.sort(descending=True, stable=True).indices
        ranks = torch.empty_like(order).scatter(0, order, torch.arange(len(order)).to(order))
        tops = torch.full_like(ranks, len(ranks)).scatter_reduce(
            0, cells[goes], ranks[goes], "amin"
        )
        keepers = torch.arange(len(cells), device=cells.device)
        keepers[goes] = order[tops[cells[goes]]]
        index, owner = keepers.unique(return_inverse=True)
        return Reduction(
            index, pooled(evidence.hidden, owner, len(index), _weights(scores, owner, goes))
        )


def cells_of(evidence: Evidence, cell: float, most: int) -> Int[Tensor, " token"]:
    """Cells numbered from 0, unit by unit; doubled in side until there are no more than `most`."""
    units = torch.stack([evidence.item, evidence.unit], 1)
    extent = float(evidence.place.max()) + 1
    while True:
        key = torch.cat([units, (evidence.place / cell).floor().long()], 1)
        found, number = key.unique(dim=0, return_inverse=True)
        if len(found) <= most:
            return number
        if cell > extent:
            return torch.zeros_like(number)
        cell *= 2


def leaving(
    scores: Float[Tensor, " token"], cells: Int[Tensor, " token"], count: int
) -> Bool[Tensor, " token"]:
    """The fewest of the lowest scored that, with one token for every cell of theirs, leave `count`.

    Of R that go, N - R + (their cells) are left: each step of R takes one off, or none.
    """
    order = scores.sort(stable=True).indices
    steps = torch.arange(1, len(order) + 1, device=order.device)
    firsts = torch.full_like(steps, len(steps)).scatter_reduce(0, cells[order], steps - 1, "amin")
    opens = torch.zeros_like(steps)
    opens[firsts[firsts < len(steps)]] = 1
    left = len(order) - steps + opens.cumsum(0)
    gone = torch.zeros_like(scores, dtype=torch.bool)
    gone[order[: int((left > count).sum()) + 1]] = True
    return gone


def _weights(scores: Tensor, owner: Tensor, goes: Tensor) -> Tensor:
    """Importance among what is merged, equal where a cell has none; 1 for what stays."""
    weights = scores.float().clamp(min=0).masked_fill(~goes, 1)
    sums = torch.zeros_like(weights).index_add(0, owner, weights)
    return torch.where(sums[owner] > 0, weights, 1)

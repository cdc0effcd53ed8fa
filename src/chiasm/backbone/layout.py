"""Rows gathered once, at entry, so that every set of a row plan is one contiguous run."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from chiasm.stream import Rows, TokenTable


@dataclass(frozen=True)
class Layout:
    """The row groups one after the other, each padded to its longest sample of the batch."""

    groups: tuple[tuple[Rows, int], ...]
    """Each group and the places it takes."""
    index: Int[Tensor, "batch row"] | None = None
    """The original row at each place; None when rows keep their places."""
    padding: Bool[Tensor, "batch row"] | None = None
    inverse: Int[Tensor, "batch token"] | None = None
    """The place of each original row."""

    @property
    def runs(self) -> tuple[tuple[Rows, slice], ...]:
        """Each group and where it stands."""
        found: list[tuple[Rows, slice]] = []
        start = 0
        for rows, width in self.groups:
            found.append((rows, slice(start, start + width)))
            start += width
        return tuple(found)

    def run(self, rows: Rows) -> slice:
        """The contiguous places of a row set; where it would stand, if no row belongs to it."""
        inside = [run for group, run in self.runs if group & rows]
        return slice(inside[0].start, inside[-1].stop) if inside else slice(0, 0)


def lay_out(groups: Sequence[Rows], table: TokenTable) -> Layout:
    """The layout that stores these rows group by group."""
    batch, count = table.shape
    if len(groups) == 1:
        return Layout(((groups[0], count),))
    members = [group.select(table) for group in groups]
    counts = torch.stack([member.sum(1) for member in members])
    widths = [int(width) for width in counts.amax(1)]
    if sum(width > 0 for width in widths) <= 1:
        return Layout(tuple(zip(groups, widths, strict=True)))
    index = torch.zeros(batch, 0, dtype=torch.long, device=table.device)
    padding = torch.zeros(batch, 0, dtype=torch.bool, device=table.device)
    for member, held, width in zip(members, counts, widths, strict=True):
        first = (~member).long().argsort(dim=1, stable=True)[:, :width]
        place = torch.arange(width, device=table.device).expand(batch, -1)
        index = torch.cat([index, first], dim=1)
        padding = torch.cat([padding, place >= held.unsqueeze(1)], dim=1)
    places = torch.arange(index.shape[1], device=table.device).expand(batch, -1)
    spare = torch.zeros(batch, count + 1, dtype=torch.long, device=table.device)
    inverse = spare.scatter(1, index.masked_fill(padding, count), places)[:, :count]
    return Layout(tuple(zip(groups, widths, strict=True)), index, padding, inverse)

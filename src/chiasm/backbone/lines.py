"""Rows in line for a recurrence: the shared rows of a sample, then each of its segments."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from chiasm.stream import SHARED, TokenTable
from chiasm.stream.table import take


@dataclass(frozen=True)
class Lines:
    """Where the rows of a call stand when each segment is a sequence of its own, in reading order.

    A packed sample is a tree: line 0 holds its `SHARED` rows, and every segment goes on from where
    that line ends. Lines are filled up at their end.
    """

    shared: Bool[Tensor, "batch place"]
    """True for the places of line 0 that hold a row."""
    own: Bool[Tensor, "batch segment place"]
    """The same of every segment's line."""
    index: Int[Tensor, "batch line_place"] | None
    """The row at each place, line after line; None where the rows are line 0 as they stand."""
    inverse: Int[Tensor, "batch token"] | None
    """The place of each row."""
    begun: Bool[Tensor, "batch segment"]
    """Segments that had rows in earlier calls, and so a state of their own."""

    @property
    def segments(self) -> int:
        return self.own.shape[1]

    def arrange(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """`[batch, token, width]` as line 0 `[batch, place, width]` and the segments' lines
        `[batch * segment, place, width]`.
        """
        if self.index is None:
            return rows, rows[:, :0]
        placed = take(rows, self.index)
        first = self.shared.shape[1]
        rest = placed[:, first:]
        return placed[:, :first], rest.reshape(
            len(rows) * self.segments, self.own.shape[2], rows.shape[2]
        )

    def restore(self, shared: Tensor, own: Tensor) -> Tensor:
        """Lines back to `[batch, token, width]`, in the call's order of rows."""
        if self.inverse is None:
            return shared
        rest = own.reshape(len(shared), self.own[0].numel(), shared.shape[2])
        return take(torch.cat([shared, rest], 1), self.inverse)


def line_up(table: TokenTable, begun: Bool[Tensor, "batch segment"] | None = None) -> Lines:
    """The lines of a table's valid rows; `begun` are the segments with rows in earlier calls."""
    batch, count = table.shape
    segment = table.segment.masked_fill(~table.valid, SHARED)
    before = table.valid.new_zeros(batch, 0) if begun is None else begun
    segments = max(int(segment.max()) if count else 0, before.shape[1])
    before = torch.nn.functional.pad(before, (0, segments - before.shape[1]))
    if not segments and _in_place(table):
        own = table.valid.new_zeros(batch, 0, 0)
        return Lines(table.valid, own, None, None, before)
    line = segment.masked_fill(~table.valid, segments + 1)
    late = table.order.amax() + 1
    sorted_rows = (line * late + table.order.clamp(min=0)).argsort(dim=1, stable=True)
    sizes = torch.zeros(batch, segments + 2, dtype=torch.long, device=table.device)
    sizes = sizes.scatter_add(1, line, torch.ones_like(line))
    starts = sizes.cumsum(1) - sizes
    sorted_line = take(line, sorted_rows)
    along = torch.arange(count, device=table.device) - starts.gather(1, sorted_line)
    longest = sizes[:, : segments + 1].amax(0)
    first, rest = int(longest[0]), int(longest[1:].max()) if segments else 0
    place = torch.where(sorted_line == 0, along, first + (sorted_line - 1) * rest + along)
    first = first if rest else max(first, 1)
    places = first + segments * rest
    # Rows that are not valid share one place at the end, which is cut off.
    place = place.masked_fill(sorted_line > segments, places)
    index = torch.zeros(batch, places + 1, dtype=torch.long, device=table.device)
    index = index.scatter(1, place, sorted_rows)[:, :places]
    inverse = torch.zeros_like(line).scatter(1, sorted_rows, place.clamp(max=places - 1))
    within = torch.arange(max(first, rest), device=table.device)
    filled = within < sizes[:, : segments + 1].unsqueeze(-1)
    return Lines(filled[:, 0, :first], filled[:, 1:, :rest], index, inverse, before)


def _in_place(table: TokenTable) -> bool:
    """Whether valid rows come first, in reading order."""
    valid, order = table.valid, table.order
    ascending = (order[:, 1:] >= order[:, :-1]) | ~valid[:, 1:]
    return bool((ascending & (valid[:, :-1] | ~valid[:, 1:])).all())

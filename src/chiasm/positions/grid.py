"""Two axes for pictures, rows and columns; text stands on the diagonal (SAIL)."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from chiasm.stream import TokenTable


@dataclass(frozen=True)
class Grid:
    """The picture's patch (r, c) stands at (start + r, start + c); its marks and text have equal
    axes, which is ordinary rotary position (SAIL, arXiv 2504.10462).

    A picture of h x w patches begins with a mark at p, has its patches from start = p + 1, ends
    with a mark at start + max(h, w), and text resumes one further. Its rows stand line by line,
    marks included, so that the widest place of a line tells w.
    """

    @property
    def axes(self) -> int:
        return 2

    def number(self, table: TokenTable) -> TokenTable:
        """The table with two positions a row; it comes numbered in reading order."""
        media = (table.modality > 0) & table.valid
        place = table.place.long()
        first = table.position[..., 0].long()
        position = torch.stack([first, first], dim=-1)
        for item in range(1, int(table.item.max()) + 1):
            rows = media & (table.item == item)
            count = rows.sum(1, keepdim=True)
            columns = (place[..., 2].masked_fill(~rows, 0).amax(1, keepdim=True) + 1).clamp(min=1)
            lines = (count - 2) // columns
            longest = torch.maximum(lines, columns)
            begin = _first(position[..., 0], rows)
            at = place[..., 1] * columns + place[..., 2] - 1
            inside = torch.stack([at // columns, at % columns], dim=-1)
            offset = torch.where(
                (at < 0).unsqueeze(-1),
                torch.zeros_like(inside),
                torch.where((at >= count - 2).unsqueeze(-1), 1 + longest.unsqueeze(-1), 1 + inside),
            )
            own = (begin.unsqueeze(-1) + offset).where(rows.unsqueeze(-1), position)
            # What follows the picture comes nearer by the rows that share a position.
            after = (table.item >= item) & ~rows & (count > 0)
            nearer = torch.where(after, longest - (count - 2), 0).unsqueeze(-1)
            position = own + nearer
        return replace(table, position=position.float())

    def taught(self, table: TokenTable) -> TokenTable:
        return table


def _first(position: Tensor, rows: Tensor) -> Tensor:
    """The position of the first of some rows, `[batch, 1]`; 0 where there is none."""
    far = position.amax() + 1
    first = position.masked_fill(~rows, int(far)).amin(1, keepdim=True)
    return first.where(rows.any(1, keepdim=True), torch.zeros_like(first))

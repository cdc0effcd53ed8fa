"""Three axes, time, row and column; text stands on the diagonal (M-RoPE)."""

from dataclasses import dataclass, replace

import torch

from chiasm.stream import TokenTable


@dataclass(frozen=True)
class MultimodalRotary:
    """A picture's token at place (t, y, x) stands at start + (t, y, x), where start is the step
    after the row before it; text goes on max(rows, columns) steps after start, on all axes alike
    (Qwen2-VL, arXiv 2409.12191, section 2.1).
    """

    @property
    def axes(self) -> int:
        return 3

    def number(self, table: TokenTable) -> TokenTable:
        """The table with three positions a row; it comes numbered in reading order."""
        media, place = (table.modality > 0) & table.valid, table.place
        position = table.position[..., :1].expand(-1, -1, 3)
        for item in range(1, int(table.item.max()) + 1):
            rows = media & (table.item == item)
            count = rows.sum(1, keepdim=True).float()
            far = position.amax() + 1
            start = position[..., 0].masked_fill(~rows, float(far)).amin(1, keepdim=True)
            reach = place[..., 1:].amax(-1).masked_fill(~rows, -1).amax(1, keepdim=True) + 1
            after = (table.item >= item) & ~rows & (position[..., 0] > start)
            moved = position + torch.where(after, reach - count, 0.0).unsqueeze(-1)
            position = torch.where(rows.unsqueeze(-1), start.unsqueeze(-1) + place, moved)
        return replace(table, position=position)

    def taught(self, table: TokenTable) -> TokenTable:
        return table

"""Fractional steps through a picture: many tokens within few positions (V2PE)."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Int
from torch import Tensor

from chiasm.positions.reading_order import added_before, reading_order
from chiasm.stream import TokenTable
from chiasm.stream.table import take

WHOLE = 256
"""A step of s stands for s / 256 of a position; 256 is what a text row takes."""


@dataclass(frozen=True, kw_only=True)
class Fractional:
    """The k-th of n rows of a picture behind a row at p stands at p + k d, d = s / 256, and text
    resumes at ceil(p + n d) + 1 (V2PE, arXiv 2412.09616); s = 256 numbers the rows one by one.

    Training draws s uniformly from `steps` for every picture of a sample, from torch's generator of
    the CPU; at any other time it is `fixed`. A picture that opens a sample stands behind p = -1.
    Positions are sums of an integer and k s / 256, exact in float32 as long as p is below 2^16; in
    bfloat16 neighbours would share one.
    """

    fixed: int
    steps: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128, 256)

    def __post_init__(self) -> None:
        wrong = [step for step in (self.fixed, *self.steps) if not 1 <= step <= WHOLE]
        if wrong or not self.steps:
            raise ValueError(f"steps are from 1 to {WHOLE} of {WHOLE} parts, not {wrong}")

    @property
    def axes(self) -> int:
        return 1

    def number(self, table: TokenTable) -> TokenTable:
        return numbered(table, torch.full_like(table.item, self.fixed))

    def taught(self, table: TokenTable) -> TokenTable:
        pictures = table.shape[0], int(table.item.max()) + 1
        drawn = torch.randint(len(self.steps), pictures, device="cpu")
        steps = torch.tensor(self.steps, device="cpu")[drawn].to(table.device)
        return numbered(table, steps.gather(1, table.item))


def numbered(table: TokenTable, step: Int[Tensor, "batch token"]) -> TokenTable:
    """The table with its positions, whatever they were; `step` counts for media rows."""
    index = reading_order(table)
    rows, step = table.rows(index), take(step, index)
    media = (rows.modality > 0) & rows.valid
    goes_on = media[:, :-1].clone()
    for column in (rows.item, rows.segment):
        goes_on &= column[:, 1:] == column[:, :-1]
    opens = media.clone()
    opens[:, 1:] &= ~goes_on
    seen = media.long().cumsum(1)
    k = seen - (seen - 1).masked_fill(~opens, 0).cummax(1).values
    # A picture's first k rows use up ceil(k d) whole positions.
    used, used_before = -(-k * step // WHOLE), -(-(k - 1) * step // WHOLE)
    before = added_before(rows, torch.where(media, used - used_before, rows.valid.long()))
    p = before - used_before - 1
    inside = p.float() + (k * step).float() / WHOLE
    position = torch.where(media, inside, before.float())
    return replace(table, position=take(position, index.argsort(dim=1)).unsqueeze(-1))

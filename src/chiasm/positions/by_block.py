"""One position for a whole picture: what follows it is one step further, however large it is."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Int
from torch import Tensor

from chiasm.positions.reading_order import added_before, reading_order
from chiasm.stream import Modality, Role, TokenTable
from chiasm.stream.table import take


@dataclass(frozen=True)
class OnePerBlock:
    """All rows of a block (an image's features, its latents) share one index, text rows have each
    their own; a draft stands where the clean copy after it stands (BAGEL, arXiv 2505.14683).

    With `units` every frame (or tile) of a picture is a block of its own: a clip of T frames takes
    T steps, however many tokens they have (MammothModa, arXiv 2406.18193).

    A position counts the text rows and whole blocks before the row; drafts count for nothing, and
    packed segments go on from their prefix.
    """

    units: bool = False

    @property
    def axes(self) -> int:
        return 1

    def number(self, table: TokenTable) -> TokenTable:
        """The table with its positions; it comes numbered in reading order."""
        index = reading_order(table)
        rows = table.rows(index)
        position = take(added_before(rows, _steps(rows, units=self.units)), index.argsort(dim=1))
        return replace(table, position=position.float().unsqueeze(-1))

    def taught(self, table: TokenTable) -> TokenTable:
        return table


def _steps(table: TokenTable, *, units: bool) -> Int[Tensor, "batch token"]:
    """1 for text rows and for the last row of a block, of rows in reading order; else 0."""
    same = (table.modality != int(Modality.TEXT)) & (table.role != int(Role.DRAFT))
    inside = torch.zeros_like(same)
    inside[:, :-1] = same[:, :-1] & table.valid[:, 1:]
    columns = table.modality, table.item, table.role, table.segment
    for column in (*columns, table.unit) if units else columns:
        inside[:, :-1] &= column[:, :-1] == column[:, 1:]
    return (table.valid & (table.role != int(Role.DRAFT)) & ~inside).long()

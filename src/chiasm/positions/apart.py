"""Each kind of row counts itself: what BERT's words see of an image in front of them."""

from dataclasses import dataclass, replace

import torch

from chiasm.positions.learned import with_learned
from chiasm.stream import TokenTable


@dataclass(frozen=True)
class Apart:
    """Text rows are numbered among text rows, media rows among media rows.

    Single-stream encoders (ViLT, Zorro) place words and patches in tables of their own. The last
    `learned` rows of every image are learned rows, which stand for no part of it: they are marked
    as such.
    """

    learned: int = 0

    @property
    def axes(self) -> int:
        return 1

    def number(self, table: TokenTable) -> TokenTable:
        media = (table.modality > 0) & table.valid
        before = media.long().cumsum(1)
        # Text goes on from where it would stand had no media come before it.
        text = table.position - before.unsqueeze(-1)
        own = (before - 1).clamp(min=0).to(table.position.dtype).unsqueeze(-1)
        position = torch.where(media.unsqueeze(-1), own, text).clamp(min=0)
        return replace(table, position=position, modality=with_learned(table, self.learned))

    def taught(self, table: TokenTable) -> TokenTable:
        return table

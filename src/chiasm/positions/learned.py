"""The learned rows among an image's, told from those that stand for a part of it."""

import torch
from jaxtyping import Int
from torch import Tensor

from chiasm.stream import Modality, TokenTable


def with_learned(table: TokenTable, learned: int) -> Int[Tensor, "batch token"]:
    """The modality of every row, where the last `learned` rows of every image are learned rows."""
    if not learned:
        return table.modality
    media = (table.modality > 0) & table.valid
    left = torch.zeros_like(table.item)
    for item in range(1, int(table.item.max()) + 1):
        rows = media & (table.item == item)
        left = torch.where(rows, rows.long().flip(1).cumsum(1).flip(1), left)
    return table.modality.masked_fill(media & (left <= learned), int(Modality.LEARNED))

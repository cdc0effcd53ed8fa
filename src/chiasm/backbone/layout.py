"""Rows gathered once, at entry, so that every set of a row plan is one contiguous run."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from chiasm.stream import RowPlan, Rows, TokenTable


@dataclass(frozen=True)
class Layout:
    """Media rows first, then text rows, each kind padded to the longest sample of the batch."""

    media: int
    text: int
    index: Int[Tensor, "batch row"] | None = None
    """The original row at each place; None when rows keep their places."""
    padding: Bool[Tensor, "batch row"] | None = None
    inverse: Int[Tensor, "batch token"] | None = None
    """The place of each original row."""

    def run(self, rows: Rows) -> slice:
        """The contiguous places of a row set."""
        start = 0 if rows.media else self.media
        return slice(start, self.media + self.text if rows.text else self.media)


def lay_out(plan: RowPlan, table: TokenTable) -> Layout:
    """The layout that makes `plan`'s sets contiguous for these rows."""
    batch, count = table.shape
    media = table.modality > 0
    if plan.complete or not bool(media.any()):
        return Layout(media=0, text=count)
    media_counts = media.sum(1, keepdim=True)
    text_counts = count - media_counts
    sorted_rows = (~media).long().argsort(dim=1, stable=True)
    widest_media, widest_text = int(media_counts.max()), int(text_counts.max())
    place = torch.arange(max(widest_media, widest_text), device=table.device).expand(batch, -1)
    media_place, text_place = place[:, :widest_media], place[:, :widest_text]
    index = torch.cat(
        [
            sorted_rows.gather(1, media_place.clamp(max=count - 1)),
            sorted_rows.gather(1, (text_place + media_counts).clamp(max=count - 1)),
        ],
        dim=1,
    )
    padding = torch.cat([media_place >= media_counts, text_place >= text_counts], dim=1)
    places = torch.arange(index.shape[1], device=table.device).expand(batch, -1)
    spare = torch.zeros(batch, count + 1, dtype=torch.long, device=table.device)
    inverse = spare.scatter(1, index.masked_fill(padding, count), places)[:, :count]
    return Layout(widest_media, widest_text, index, padding, inverse)

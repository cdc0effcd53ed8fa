"""Learned rows in an image's place: what stands in the sequence, whatever the image shows."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from chiasm.spec import Host
from chiasm.spec.reading import Reading
from chiasm.stream import ALL, MEDIA


class ImageRows(nn.Module):
    """The j-th row of every image is the j-th of `count` learned vectors; then, if there is one,
    `then(hidden, reading)`.
    """

    def __init__(self, host: Host, count: int, then: nn.Module | None = None) -> None:
        super().__init__()
        std = host.initial_std if host.embedding_std is None else host.embedding_std
        self.rows = nn.Parameter(torch.randn(count, host.width) * std)
        self.then = then

    def forward(
        self, hidden: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token width"]:
        if reading.source is not None:
            own = (reading.source >= 0).unsqueeze(-1)
            rows = self.rows[numbers(reading).clamp(max=len(self.rows) - 1)]
            hidden = torch.where(own, rows.to(hidden.dtype), hidden)
        return hidden if self.then is None else self.then(hidden, reading)


def numbers(reading: Reading) -> Int[Tensor, "batch token"]:
    """How many rows of its own image come before each row, those of earlier calls included.

    It is asked before the first layer, which then keeps this call's rows among the cache's.
    """
    table, cache = reading.table, reading.cache
    earlier = None if cache is None else cache.tables.get(ALL)
    known = reading.call.table if earlier is None else earlier.append(reading.call.table)
    own = (MEDIA.select(known) & known.valid).unsqueeze(1)
    same = own & (known.item.unsqueeze(1) == table.item.unsqueeze(-1))
    return (same & (known.order.unsqueeze(1) < table.order.unsqueeze(-1))).sum(-1)

"""Row plans: which rows do which work in a layer. The plan, not the mask, is what saves work."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor

from chiasm.stream.table import TokenTable


@dataclass(frozen=True)
class Rows:
    """A predicate over single rows: text rows, media rows, both or neither."""

    text: bool
    media: bool

    def select(self, table: TokenTable) -> Bool[Tensor, "batch token"]:
        """True for the rows in the set."""
        media = table.modality > 0
        if self.text and self.media:
            return torch.ones_like(media)
        if self.media:
            return media
        return ~media if self.text else torch.zeros_like(media)


ALL = Rows(text=True, media=True)
TEXT = Rows(text=True, media=False)
MEDIA = Rows(text=False, media=True)


@dataclass(frozen=True)
class RowPlan:
    """The rows that make queries, make keys and values, pass the output projection, pass the
    feed-forward.

    A row that passes the output projection without making a query reads its own value only
    (diagonal attention): `h <- h + W_o W_v norm(h)`.
    """

    query: Rows = ALL
    key_value: Rows = ALL
    output: Rows = ALL
    feed_forward: Rows = ALL

    @property
    def complete(self) -> bool:
        """True when every row does everything."""
        return self == RowPlan()

    def sets(self) -> tuple[Rows, Rows, Rows, Rows]:
        return self.query, self.key_value, self.output, self.feed_forward

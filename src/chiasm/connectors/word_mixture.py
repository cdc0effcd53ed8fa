"""Tokens said in the host's words: each becomes a soft mixture of the whole word table."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.errors import Misuse
from chiasm.layers import attend, merge_heads, split_heads
from chiasm.spec import Connector, Work
from chiasm.spec.work import attention, linear
from chiasm.stream import Asked, Connects, Features, Permission, Tokens


@dataclass(frozen=True, kw_only=True)
class WordMixture:
    """W_o softmax(q k^T / sqrt(head_width)) v: q of the tokens of `each`, k and v of every row of
    the host's table of words, of a learned slot, and of a slot of zeros (Macaw-LLM, arXiv
    2306.09093). Keys and values are made anew at every call: the table may learn.
    """

    each: Connector
    table_rows: int
    """Rows of the host's table."""
    heads: int
    head_width: int
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        return self.each.count(grid)

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> "MixedWords":
        return MixedWords(self, width, host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        tokens, inner = self.count(grid), self.heads * self.head_width
        pairs = tokens * (self.table_rows + 2)
        return (
            *self.each.work(grid, width, host_width),
            linear("connector", "query", tokens, host_width, inner),
            linear("connector", "key and value of words", self.table_rows, host_width, 2 * inner),
            attention("connector", "mixture of words", pairs, self.heads, self.head_width),
            linear("connector", "output", tokens, inner, host_width),
        )


class MixedWords(nn.Module):
    """`[image, token, width]` to `[image, fewer, host width]`."""

    def __init__(self, config: WordMixture, width: int, host_width: int) -> None:
        super().__init__()
        inner = config.heads * config.head_width
        self.config = config
        self.each = cast(nn.Module, config.each.build(width, host_width))
        self.query, self.key, self.value = (nn.Linear(host_width, inner) for _ in range(3))
        self.own_key, self.own_value = (
            nn.Parameter(torch.randn(1, inner) * inner**-0.5) for _ in range(2)
        )
        self.output = nn.Linear(inner, host_width)
        # Unregistered: the table is the host's, and is kept and taught there.
        self._table: list[nn.Embedding] = []

    def borrow(self, table: nn.Embedding) -> None:
        """Read from this table of words.

        Raises:
            Misuse: it has another number of rows.
        """
        if table.num_embeddings != self.config.table_rows:
            raise Misuse(
                f"a mixture of {self.config.table_rows} words does not fit a host of "
                f"{table.num_embeddings}; set table_rows to the host's vocabulary"
            )
        self._table[:] = [table]

    def slots(self) -> tuple[Float[Tensor, "slot inner"], Float[Tensor, "slot inner"]]:
        """Keys and values: of every word, the learned one, zeros."""
        words = self._table[0].weight
        nothing = torch.zeros_like(self.own_key)
        keys = torch.cat([self.key(words), self.own_key, nothing])
        return keys, torch.cat([self.value(words), self.own_value, nothing])

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        tokens = cast(Connects, self.each).connect(features, asked)
        rows, heads = tokens.embeddings, self.config.heads
        q = split_heads(self.query(rows), heads)
        k, v = (
            split_heads(slots.unsqueeze(0), heads).expand(len(rows), -1, -1, -1)
            for slots in self.slots()
        )
        mixed = self.output(merge_heads(attend(q, k, v, Permission())))
        return Tokens(mixed, tokens.valid, tokens.grid)

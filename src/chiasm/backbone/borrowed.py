"""A cache that is read but not written: prompts read once, rows that come and go beside them."""

from collections.abc import Hashable

import torch
from jaxtyping import Float
from torch import Tensor

from chiasm.backbone.cache import Cache, Key, KeyValue
from chiasm.stream import TokenTable


class Borrowed(Cache):
    """What a call adds to `lender` is seen by that call and forgotten with this object."""

    def __init__(self, lender: Cache) -> None:
        super().__init__()
        self.lender = lender
        self.memory = dict(lender.memory)
        self.memory_table = lender.memory_table

    def _another(self, name: Hashable) -> Cache:
        return Borrowed(self.lender.part(name))

    def append(
        self,
        layer: Key,
        keys: Float[Tensor, "batch kv_head token head_width"],
        values: Float[Tensor, "batch kv_head token head_width"],
    ) -> KeyValue:
        held = self.lender.held(layer)
        if held is None:
            return keys, values
        return torch.cat([held[0], keys], 2), torch.cat([held[1], values], 2)

    def held(self, layer: Key) -> KeyValue | None:
        return self.lender.held(layer)

    def extend(self, rows: Hashable, table: TokenTable) -> TokenTable:
        held = self.lender.tables.get(rows)
        return table if held is None else held.append(table)

    @property
    def bytes(self) -> int:
        return self.lender.bytes

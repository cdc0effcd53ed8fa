"""A cache that is read but not written: prompts read once, rows that come and go beside them."""

from collections.abc import Hashable

from jaxtyping import Float
from torch import Tensor

from chiasm.backbone.cache import Cache, Key, KeyValue
from chiasm.spec.reading import Held
from chiasm.stream import TokenTable


class Borrowed(Cache):
    """What a call adds to `lender` is seen by that call and forgotten with this object."""

    def __init__(self, lender: Cache) -> None:
        super().__init__()
        self.lender = lender
        self.memory = dict(lender.memory)
        self.memory_table = lender.memory_table

    @property
    def reads_pairs(self) -> bool:
        return self.lender.reads_pairs

    def _another(self, name: Hashable) -> Cache:
        return Borrowed(self.lender.part(name))

    def append(
        self,
        layer: Key,
        keys: Float[Tensor, "batch kv_head token head_width"],
        values: Float[Tensor, "batch kv_head token head_width"],
        table: TokenTable,
    ) -> Held:
        held = self.lender.held(layer)
        return KeyValue(keys, values) if held is None else held.extended(keys, values)

    def held(self, layer: Key) -> Held | None:
        return self.lender.held(layer)

    def extend(self, rows: Hashable, table: TokenTable) -> TokenTable:
        held = self.lender.tables.get(rows)
        return table if held is None else held.append(table)

    @property
    def bytes(self) -> int:
        return self.lender.bytes

"""A cache of our own decoder whose visual rows are quantised once their call is over."""

from collections.abc import Hashable

from torch import Tensor

from chiasm.backbone import Cache
from chiasm.backbone.cache import Key, KeyValue
from chiasm.compression.visual_kv import SplitRows, VisualKV
from chiasm.spec.reading import Held
from chiasm.stream import Modality, Rows, TokenTable

VISUAL = Rows.of(Modality.IMAGE, Modality.VIDEO, Modality.DOCUMENT)


class VisualCache(Cache):
    """Grows by concatenation. A call reads its own rows as they come and earlier visual rows from
    their codes; memories are held as they are.
    """

    def __init__(self, how: VisualKV, *, visual: Rows = VISUAL) -> None:
        super().__init__()
        self.how, self.visual = how, visual
        self._layers: dict[Key, SplitRows] = {}

    def _another(self, name: Hashable) -> Cache:
        return VisualCache(self.how, visual=self.visual)

    @property
    def reads_pairs(self) -> bool:
        return any(rows.packed for rows in self._layers.values())

    def append(self, layer: Key, keys: Tensor, values: Tensor, table: TokenTable) -> Held:
        before = self._layers.get(layer)
        if before is None:
            before = SplitRows.none(keys, self.how)
        visual = self.visual.select(table) & table.valid
        self._layers[layer] = before.packing(keys, values, visual)
        return before.extended(keys, values) if before.total else KeyValue(keys, values)

    def held(self, layer: Key) -> SplitRows | None:
        return self._layers.get(layer)

    @property
    def bytes(self) -> int:
        return sum(rows.bytes for rows in self._layers.values()) + self._memory_bytes()

"""A layer of a transformers cache that packs visual rows once their call is over."""

from typing import Any

import torch
from jaxtyping import Bool
from torch import Tensor
from transformers.cache_utils import Cache

from chiasm.compressing.cut_cache import CutLayer, cut_from
from chiasm.compressing.rows import Rows
from chiasm.compression.visual_kv import SplitRows, VisualKV
from chiasm.errors import Misuse


class PackedLayer(CutLayer):
    """Visual rows of earlier calls as codes, other rows as they are. A call reads its own rows at
    full precision and packs them behind that.

    Where something is packed, `update` returns tensors of the right shape that hold nothing but
    NaN, the keys carrying the rows as `packed_rows`: what the attention of `packed_reading` reads.
    """

    def __init__(self, how: VisualKV) -> None:
        super().__init__()
        self.how = how
        self.rows: SplitRows | None = None
        self._visual: Tensor | None = None

    def awaiting(self, visual: Bool[Tensor, "batch row"]) -> None:
        """Say which rows of the next update are visual."""
        self._visual = visual

    @property
    def packed(self) -> bool:
        return self.rows is not None and bool(self.rows.packed)

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        visual, self._visual = self._visual, None
        if visual is None:
            raise Misuse(
                "this cache was filled by a compressed model: go on within a context of the same"
            )
        before = SplitRows.none(key_states, self.how) if self.rows is None else self.rows
        self.is_initialized = True
        self.rows = before.packing(key_states, value_states, visual)
        if not before.total:
            return key_states, value_states
        now = before.extended(key_states, value_states)
        if not now.packed:
            return now.plain.keys, now.plain.values
        keys, values = (_stand_in(rows, now.total) for rows in (key_states, value_states))
        keys.packed_rows = now  # type: ignore[attr-defined]
        return keys, values

    def earlier_keys(self) -> Tensor | None:
        return None if self.rows is None else self.rows.keys

    @property
    def bytes(self) -> int:
        """Of codes, steps, los, plain rows and column numbers."""
        return 0 if self.rows is None else self.rows.bytes

    def _at(self, chosen: Tensor) -> None:
        if self.rows is not None and self.columns is not None:
            self.rows, self.columns = self.rows.at(chosen), self.columns.at(chosen)

    def reorder_cache(self, beam_idx: Tensor) -> None:
        if self.rows is not None:
            self._at(beam_idx.to(self.rows.plain.keys.device))

    def batch_select_indices(self, indices: Tensor) -> None:
        self.reorder_cache(indices)

    def batch_repeat_interleave(self, repeats: int) -> None:
        if self.rows is not None:
            keys = self.rows.plain.keys
            self._at(torch.arange(keys.shape[0], device=keys.device).repeat_interleave(repeats))

    def reset(self) -> None:
        super().reset()
        self.rows = self._visual = None

    def offload(self) -> None:
        raise Misuse("a packed cache stays on its device: generate without an offloaded cache")


def _stand_in(rows: Tensor, total: int) -> Tensor:
    shape = (*rows.shape[:2], total, rows.shape[3])
    return rows.new_full((), float("nan")).expand(shape)


def packed_from(cache: Cache, layer: int, past: Rows | None, how: VisualKV) -> PackedLayer:
    """The cache's layer as one that packs visual rows; what it holds already stays as it is.

    Raises:
        Misuse: a cache whose layers must stay equally long, or that holds a window only.
    """
    held = cut_from(cache, layer, past)
    if isinstance(held, PackedLayer):
        return held
    made = PackedLayer(how)
    made.columns, made.seen = held.columns, held.seen
    if held.keys is not None and held.values is not None and held.columns is not None:
        made.rows = SplitRows.none(held.keys, how).extended(held.keys, held.values)
        made.is_initialized = True
    cache.layers[layer] = made
    return made


def cache_bytes(cache: Cache) -> int:
    """Bytes of keys and values that a cache holds, and of what its packed rows are read with."""
    total = 0
    for layer in cache.layers:
        held: Any = layer
        if isinstance(held, PackedLayer):
            total += held.bytes
        elif held.keys is not None:
            total += sum(t.numel() * t.element_size() for t in (held.keys, held.values))
    return total

"""A layer of a transformers cache that holds fewer rows than it has seen."""

from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from chiasm.compressing.rows import Rows
from chiasm.errors import Misuse


class CutLayer(DynamicLayer):
    """Keys and values of the rows that stayed, and which rows these are.

    `get_seq_length` counts the rows of the uncut sequence, dropped ones included: it is what
    positions are counted on from, and what `generate` skips of its ids.
    """

    def __init__(self) -> None:
        super().__init__()
        self.columns: Rows | None = None
        self.seen = 0

    def extend(self, rows: Rows, seen: int) -> Rows:
        """Say which rows the next update brings, `seen` rows of the uncut sequence being past."""
        self.columns = rows if self.columns is None else self.columns.append(rows)
        self.seen = seen
        return self.columns

    def earlier_keys(self) -> Tensor | None:
        """Keys of the rows held, as tensors."""
        return self.keys

    def get_seq_length(self) -> int:
        return self.seen

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        held = 0 if self.columns is None else len(self.columns)
        return held + query_length, 0

    def reset(self) -> None:
        super().reset()
        self.columns, self.seen = None, 0

    def crop(self, tokens_to_remove: int) -> None:
        raise Misuse("a compressed cache cannot be cropped: decode without assisted generation")

    def reorder_cache(self, beam_idx: Any) -> None:
        if self.keys is not None and self.columns is not None:
            super().reorder_cache(beam_idx)
            self.columns = self.columns.at(beam_idx.to(self.columns.index.device))

    def batch_repeat_interleave(self, repeats: int) -> None:
        if self.columns is not None:
            super().batch_repeat_interleave(repeats)
            batch = self.columns.index.shape[0]
            chosen = torch.arange(batch, device=self.columns.index.device)
            self.columns = self.columns.at(chosen.repeat_interleave(repeats))

    def batch_select_indices(self, indices: Tensor) -> None:
        if self.columns is not None:
            super().batch_select_indices(indices)
            self.columns = self.columns.at(indices.to(self.columns.index.device))


def cut_from(cache: Cache, layer: int, past: Rows | None) -> CutLayer:
    """The cache's layer as one that may hold fewer rows than it has seen, its rows so far kept.

    Raises:
        Misuse: a cache whose layers must stay equally long, or that holds a window only.
    """
    while len(cache.layers) <= layer:
        cache.layers.append(DynamicLayer())
    held = cache.layers[layer]
    if isinstance(held, CutLayer):
        return held
    if type(held) is not DynamicLayer:
        raise Misuse(
            f"layer {layer} of the cache is a {type(held).__name__}; compression drops rows from a "
            f"growing cache (DynamicCache) only"
        )
    made = CutLayer()
    if past is not None and held.keys is not None and held.values is not None:
        made.lazy_initialization(held.keys, held.values)
        made.keys, made.values = held.keys, held.values
        made.columns, made.seen = past, len(past)
    cache.layers[layer] = made
    return made

"""Keys and values of earlier rows, with the identity of those rows; memories are kept apart."""

from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from chiasm.layers import attend
from chiasm.spec.reading import Held
from chiasm.stream import Permission, TokenTable

Key = Hashable
"""What keys and values are kept under: a layer, or a layer's lane."""


class KeyValue(NamedTuple):
    """Keys and values as they are."""

    keys: Float[Tensor, "batch kv_head token head_width"]
    values: Float[Tensor, "batch kv_head token head_width"]

    def extended(self, keys: Tensor, values: Tensor) -> "KeyValue":
        return KeyValue(torch.cat([self.keys, keys], 2), torch.cat([self.values, values], 2))

    def attend(self, q: Tensor, permission: Permission) -> Tensor:
        return attend(q, self.keys, self.values, permission)


class Cache(ABC):
    """What decoding remembers: per layer the keys and values, per row set the table of its rows.

    `memory` holds what slots and mixers keep, each under a key of its own: keys and values of a
    memory, computed once at prefill; a recurrent state, replaced at every step.
    """

    @property
    def reads_pairs(self) -> bool:
        """Whether some of what is held can only be read under a dense mask."""
        return False

    def __init__(self) -> None:
        self.tables: dict[Hashable, TokenTable] = {}
        self.memory: dict[Hashable, tuple[Tensor, ...]] = {}
        self.memory_table: TokenTable | None = None
        self.following: TokenTable | None = None
        self.parts: dict[Hashable, Cache] = {}

    def part(self, name: Hashable) -> "Cache":
        """What a further stack of the same decoder remembers: a cache of this kind, of its own."""
        if name not in self.parts:
            self.parts[name] = self._another(name)
        return self.parts[name]

    @abstractmethod
    def _another(self, name: Hashable) -> "Cache":
        """An empty cache of this kind."""

    @abstractmethod
    def append(
        self,
        layer: Key,
        keys: Float[Tensor, "batch kv_head token head_width"],
        values: Float[Tensor, "batch kv_head token head_width"],
        table: TokenTable,
    ) -> Held:
        """Add rows to a layer and return all of its keys and values so far, as these are read."""

    @abstractmethod
    def held(self, layer: Key) -> Held | None:
        """A layer's keys and values so far; None before the first."""

    def extend(self, rows: Hashable, table: TokenTable) -> TokenTable:
        """Add rows to the table of a row set and return all of its rows so far."""
        self.tables[rows] = self.tables[rows].append(table) if rows in self.tables else table
        return self.tables[rows]

    @property
    @abstractmethod
    def bytes(self) -> int:
        """Bytes of keys, values and states held, memories included; not of choices and flags."""

    def _memory_bytes(self) -> int:
        kept = (t for tensors in self.memory.values() for t in tensors if t.is_floating_point())
        own = sum(t.numel() * t.element_size() for t in kept)
        return own + sum(part.bytes for part in self.parts.values())


class GrowingCache(Cache):
    """Concatenates: exact size, a copy per step."""

    def __init__(self) -> None:
        super().__init__()
        self._layers: dict[Key, KeyValue] = {}

    def _another(self, name: Hashable) -> Cache:
        return GrowingCache()

    def append(self, layer: Key, keys: Tensor, values: Tensor, table: TokenTable) -> KeyValue:
        held = self._layers.get(layer)
        self._layers[layer] = (
            KeyValue(keys, values) if held is None else held.extended(keys, values)
        )
        return self._layers[layer]

    def held(self, layer: Key) -> KeyValue | None:
        return self._layers.get(layer)

    @property
    def bytes(self) -> int:
        held = sum(t.numel() * t.element_size() for pair in self._layers.values() for t in pair)
        return held + self._memory_bytes()


class StaticCache(Cache):
    """Writes into buffers of `capacity` rows, allocated once: no copy per step."""

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity
        self._buffers: dict[Key, tuple[Tensor, Tensor]] = {}
        self._lengths: dict[Key, int] = {}

    def _another(self, name: Hashable) -> Cache:
        return StaticCache(self.capacity)

    def append(self, layer: Key, keys: Tensor, values: Tensor, table: TokenTable) -> KeyValue:
        start = self._lengths.get(layer, 0)
        end = start + keys.shape[2]
        if end > self.capacity:
            raise ValueError(
                f"layer {layer} needs {end} cached rows, the cache holds {self.capacity}"
            )
        if layer not in self._buffers:
            shape = (*keys.shape[:2], self.capacity, keys.shape[3])
            self._buffers[layer] = keys.new_zeros(shape), values.new_zeros(shape)
        buffers = self._buffers[layer]
        buffers[0][:, :, start:end] = keys
        buffers[1][:, :, start:end] = values
        self._lengths[layer] = end
        return KeyValue(buffers[0][:, :, :end], buffers[1][:, :, :end])

    def held(self, layer: Key) -> KeyValue | None:
        if layer not in self._buffers:
            return None
        keys, values = self._buffers[layer]
        end = self._lengths[layer]
        return KeyValue(keys[:, :, :end], values[:, :, :end])

    @property
    def bytes(self) -> int:
        held = sum(t.numel() * t.element_size() for pair in self._buffers.values() for t in pair)
        return held + self._memory_bytes()

"""Hyper attention: images stay out of the sequence, some layers read them with its own queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.fusion.entry import AsMemory
from chiasm.fusion.image_rows import ImageRows
from chiasm.fusion.memory_keys import MemoryKeys, keys_kept, keys_work
from chiasm.layers import attend, merge_heads
from chiasm.spec import Host, Work
from chiasm.spec.reading import Inside, Reading
from chiasm.spec.slots import SlotParts, Slots
from chiasm.spec.work import Reads, attention, linear
from chiasm.stream import ALL, MEDIA, TokenTable


class Merge(StrEnum):
    """How a layer joins what it reads of the images to what it reads of the sequence.

    joined: one softmax over [keys of the sequence; keys of the images] (the later release). beside:
    two, read <- (1 - g) read + g cross, g = sigmoid(w . n(h)) for each row (the paper).
    """

    JOINED = "joined"
    BESIDE = "beside"


@dataclass(frozen=True, kw_only=True)
class HyperAttention(AsMemory):
    """mPLUG-Owl3 (arXiv 2408.04840): an image is one row; every `every`-th layer reads its tokens.

    Image tokens pass the layer's own input norm and a key-value projection of its own. All keys of
    an image are turned by the position of its row (MI-RoPE). A row that sees no image reads the
    sequence alone.
    """

    every: int
    merge: Merge

    @property
    def as_wide(self) -> bool:
        return True

    def placeholders(self, tokens: int) -> int:
        return 1 if tokens else 0

    def layers(self, depth: int) -> range:
        """The hyper-attention layers."""
        return range(0, depth, self.every)

    def fill(self, host: Host, parts: SlotParts) -> Slots:
        mark = {0: ImageRows(host, 1)}
        reads: dict[int, nn.Module] = {}
        make = {Merge.JOINED: JoinedRead, Merge.BESIDE: GatedRead}[Merge(self.merge)]
        for layer in self.layers(host.depth):
            reads[layer] = make(host, parts.memory_width, turned=host.turns(layer))
        if Merge(self.merge) is Merge.JOINED:
            return Slots(before=mark, joined=reads)
        return Slots(before=mark, beside=reads)

    def work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        if not tokens:
            return ()
        pairs, heads = text * tokens, host.heads
        read = attention("decoder", "hyper read", pairs, heads, host.head_width, reads=Reads.MEMORY)
        gate = linear("decoder", "hyper gate", text, host.width, 1)
        gates = (gate,) if Merge(self.merge) is Merge.BESIDE else ()
        each = keys_work(host, tokens, width, "hyper"), read, *gates
        return each * len(self.layers(host.depth))

    def cached(self, host: Host, tokens: int) -> int:
        return len(self.layers(host.depth)) * keys_kept(host, tokens)


class JoinedRead(nn.Module):
    """The images' keys and values, for the sequence's own softmax."""

    def __init__(self, host: Host, memory_width: int, *, turned: bool) -> None:
        super().__init__()
        self.keys, self.turned = MemoryKeys(host, memory_width), turned

    def forward(self, inside: Inside) -> tuple[Tensor, Tensor]:
        return self.keys(inside, anchors(inside.reading) if self.turned else None)


class GatedRead(nn.Module):
    """A second softmax over the images, mixed in by a gate of each row."""

    def __init__(self, host: Host, memory_width: int, *, turned: bool) -> None:
        super().__init__()
        self.keys, self.turned = MemoryKeys(host, memory_width), turned
        self.gate = nn.Linear(host.width, 1, bias=False)

    def forward(
        self, inside: Inside, read: Float[Tensor, "batch query inner"]
    ) -> Float[Tensor, "batch query inner"]:
        permission = inside.reading.dense_permission
        if permission is None or permission.dense is None:
            return read
        k, v = self.keys(inside, anchors(inside.reading) if self.turned else None)
        cross = merge_heads(attend(inside.queries, k, v, permission))
        gate = self.gate(inside.normed).sigmoid() * permission.dense.any(2, keepdim=True)
        return read + gate * (cross - read)


def anchors(reading: Reading) -> Float[Tensor, "batch memory axis"] | None:
    """The position of the row that stands for each memory token's image; None without new memory.

    A cache knows rows of earlier calls; an image whose row is still to come is seen by nobody.
    """
    if reading.memory is None:
        return None
    rows = reading.call.table if reading.cache is None else reading.cache.tables[ALL]
    return _row_positions(rows, reading.memory.table.item)


def _row_positions(rows: TokenTable, item: Tensor) -> Float[Tensor, "batch memory axis"]:
    own = MEDIA.select(rows) & rows.valid
    most = int(torch.maximum(rows.item.max(), item.max())) + 1
    spots = rows.position.new_zeros(rows.shape[0], most, rows.position.shape[-1])
    at = torch.where(own, rows.item, 0).unsqueeze(-1).expand(-1, -1, spots.shape[-1])
    spots = spots.scatter(1, at, rows.position)
    index = item.clamp(min=0).unsqueeze(-1).expand(-1, -1, spots.shape[-1])
    return spots.gather(1, index)

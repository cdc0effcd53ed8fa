"""A soft prefix: learned rows that every layer reads beside the sequence, nothing at first."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.errors import Misuse
from chiasm.fusion.around import Around
from chiasm.layers import attend, merge_heads
from chiasm.spec import Host, Work
from chiasm.spec.answer import Fusion
from chiasm.spec.reading import Inside
from chiasm.spec.slots import SlotParts, Slots
from chiasm.spec.work import attention
from chiasm.stream import Permission


@dataclass(frozen=True, kw_only=True)
class GatedPrefix(Around):
    """What a layer's heads read, and tanh(g_head) softmax(q K^T / sqrt(d)) V besides, before W_o
    (LLaMA-Adapter, arXiv 2303.16199): K and V of `rows` learned rows, of every layer's own, g zero
    at first. Prefix tuning (arXiv 2101.00190) shares the sequence's softmax instead, and so starts
    away from the host. No row is added to the sequence.
    """

    fusion: Fusion
    rows: int
    first: int = 0
    """The first layer that reads a prefix."""

    def layers(self, host: Host) -> range:
        return range(self.first, host.depth)

    def fill(self, host: Host, parts: SlotParts) -> Slots:
        slots = self.fusion.fill(host, parts)
        taken = sorted(set(slots.beside) & set(self.layers(host)))
        if taken:
            raise Misuse(
                f"layer {taken[0]} already reads something beside the sequence; a prefix there "
                "has no place"
            )
        beside = {layer: ReadPrefix(self.rows, host.at(layer)) for layer in self.layers(host)}
        return replace(slots, beside={**slots.beside, **beside})

    def work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        own = self.fusion.work(host, text, tokens, width)
        pairs = text * self.rows
        each = attention("decoder", "prefix read", pairs, host.heads, host.head_width)
        return (*own, *[each] * len(self.layers(host)))


class ReadPrefix(nn.Module):
    """The prefix of one layer."""

    def __init__(self, rows: int, host: Host) -> None:
        super().__init__()
        shape = host.kv_heads, rows, host.head_width
        self.keys = nn.Parameter(torch.randn(shape) * host.head_width**-0.5)
        self.values = nn.Parameter(torch.randn(shape) * host.head_width**-0.5)
        self.gate = nn.Parameter(torch.zeros(host.heads))

    def forward(
        self, inside: Inside, read: Float[Tensor, "batch query inner"]
    ) -> Float[Tensor, "batch query inner"]:
        batch, dtype = len(read), inside.queries.dtype
        keys, values = (
            held.to(dtype).expand(batch, -1, -1, -1) for held in (self.keys, self.values)
        )
        prefix = attend(inside.queries, keys, values, Permission())
        opened = self.gate.tanh().view(1, -1, 1, 1).to(dtype) * prefix
        return read + merge_heads(opened)

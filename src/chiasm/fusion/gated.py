"""Gated cross-attention: layers read a memory through weights of their own, behind a zero gate."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.fusion.entry import AsMemory
from chiasm.fusion.kept import given
from chiasm.layers import attend, merge_heads, normed_feed_forward, split_heads
from chiasm.spec import Host, Work
from chiasm.spec.reading import Reading
from chiasm.spec.slots import SlotParts, Slots
from chiasm.spec.work import Reads, attention, linear
from chiasm.stream import Permission


@dataclass(frozen=True, kw_only=True)
class GatedCrossAttention(AsMemory):
    """GATED XATTN-DENSE before every `every`-th layer (Flamingo, arXiv 2204.14198, section 2.2).

    y <- y + tanh(a) XAttn(LN y, memory), then y <- y + tanh(b) FFW(LN y); a = b = `gate_start`, 0
    in the paper, so that training starts at the language model itself; numbers, or vectors if
    `channel_gates` (InfiMM-HD, arXiv 2403.01487). An image holds no row of the sequence.

    With `units`, a learned vector for each of so many tiles of an image is added to what is read.
    """

    every: int
    heads: int
    head_width: int
    ff_multiple: int = 4
    gate_start: float = 0.0
    channel_gates: bool = False
    first: int = 0
    units: int = 0

    def layers(self, depth: int) -> range:
        """The layers that are preceded by a gated block."""
        return range(self.first, depth, self.every)

    def fill(self, host: Host, parts: SlotParts) -> Slots:
        blocks = {
            layer: GatedBlock(self, host.width, parts.memory_width)
            for layer in self.layers(host.depth)
        }
        return Slots(before=blocks)

    def work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        w = host.width
        work: list[Work] = []
        for _ in self.layers(host.depth):
            if tokens:
                work += self._read_work(host, text, tokens, width)
            work.append(linear("decoder", "gated feed-forward", text, w, 2 * self.ff_multiple * w))
        return work

    def _read_work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        inner = self.heads * self.head_width
        return (
            linear("decoder", "gated query and output", text, host.width, 2 * inner),
            linear("decoder", "gated key and value", tokens, width, 2 * inner, once=True),
            attention(
                "decoder",
                "gated read",
                text * tokens,
                self.heads,
                self.head_width,
                reads=Reads.MEMORY,
            ),
        )

    def cached(self, host: Host, tokens: int) -> int:
        return len(self.layers(host.depth)) * 2 * self.heads * self.head_width * tokens


class GatedBlock(nn.Module):
    """One gated cross-attention and feed-forward. Memory keys and values are cached at prefill."""

    def __init__(self, config: GatedCrossAttention, width: int, memory_width: int) -> None:
        super().__init__()
        inner = config.heads * config.head_width
        self.heads = config.heads
        self.norm = nn.LayerNorm(width)
        self.to_q = nn.Linear(width, inner, bias=False)
        self.to_kv = nn.Linear(memory_width, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, width, bias=False)
        self.ff: nn.Module = normed_feed_forward(width, config.ff_multiple)
        gates = width if config.channel_gates else 1
        self.attention_gate = nn.Parameter(torch.full((gates,), config.gate_start))
        self.feed_forward_gate = nn.Parameter(torch.full((gates,), config.gate_start))
        self.units = None
        if config.units:
            self.units = nn.Parameter(torch.randn(config.units, memory_width) * 0.02)

    def forward(
        self, hidden: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token width"]:
        # A row with no image to read reads zeros; its feed-forward runs all the same, so that a
        # sample without images gives what it gives beside samples with images.
        if reading.permission is not None:
            read = self.read(hidden, reading, reading.permission)
            hidden = hidden + self.attention_gate.tanh() * read
        return hidden + self.feed_forward_gate.tanh() * self.think(hidden, reading)

    def think(self, hidden: Tensor, reading: Reading) -> Tensor:
        """FFW(LN y), ungated."""
        return self.ff(hidden)

    def read(self, hidden: Tensor, reading: Reading, permission: Permission) -> Tensor:
        """XAttn(LN y, memory), ungated."""
        q = split_heads(self.to_q(self.norm(hidden)), self.heads)
        k, v = given(reading, lambda tokens: self._keys(tokens, reading))
        return self.to_out(merge_heads(attend(q, k, v, permission)))

    def _keys(self, tokens: Tensor, reading: Reading) -> tuple[Tensor, Tensor]:
        if self.units is not None and reading.memory is not None:
            table = reading.memory.table
            tokens = tokens + self.units[table.unit.masked_fill(~table.valid, 0)]
        k, v = self.to_kv(tokens).chunk(2, -1)
        return split_heads(k, self.heads), split_heads(v, self.heads)

"""Cross-attention between a layer's two halves: pooled rows and text read all of the clip."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.fusion.entry import AsRowsAndMemory
from chiasm.fusion.kept import kept
from chiasm.layers import attend, merge_heads, split_heads
from chiasm.spec import Host, Work
from chiasm.spec.reading import Reading
from chiasm.spec.slots import SlotParts, Slots
from chiasm.spec.work import Reads, attention, linear
from chiasm.stream import MEDIA, TEXT, Rows


@dataclass(frozen=True, kw_only=True)
class DualCrossAttention(AsRowsAndMemory):
    """After the self-attention of every `every`-th layer (CrossLMM, arXiv 2505.17020):

        V2V  p <- p + tanh(a) W_o attention(W_q LN(p), K, V)      pooled rows p
        T2V  t <- t + tanh(b) W_o' attention(W_q' LN'(t), K, V)   text rows t

    K, V of the unpooled tokens, shared by both, which no layer updates; a = b = `gate_start`, 0
    first. The kept (pooled) tokens take rows of the sequence. Which tokens a row sees is the
    memory's rule.
    """

    every: int
    heads: int
    head_width: int
    gate_start: float = 0.0

    def layers(self, depth: int) -> range:
        """The layers that read."""
        return range(0, depth, self.every)

    def fill(self, host: Host, parts: SlotParts) -> Slots:
        reads = {
            layer: DualRead(self, host.width, parts.memory_width)
            for layer in self.layers(host.depth)
        }
        return Slots(between=reads, groups=(TEXT,))

    def work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        if not tokens:
            return ()
        inner = self.heads * self.head_width
        keys = linear("decoder", "clip key and value", tokens, width, 2 * inner, once=True)
        each = [keys]
        for name, rows in (("V2V", MEDIA), ("T2V", TEXT)):
            each.append(
                linear(
                    "decoder", f"{name} query and output", text, host.width, 2 * inner, rows=rows
                )
            )
            each.append(
                attention(
                    "decoder",
                    f"{name} read",
                    text * tokens,
                    self.heads,
                    self.head_width,
                    reads=Reads.MEMORY,
                    rows=rows,
                )
            )
        return each * len(self.layers(host.depth))

    def cached(self, host: Host, tokens: int) -> int:
        return len(self.layers(host.depth)) * 2 * self.heads * self.head_width * tokens


class Read(nn.Module):
    """tanh(g) W_o attention(W_q LN(h), K, V) for one kind of row."""

    def __init__(self, config: DualCrossAttention, width: int) -> None:
        super().__init__()
        inner = config.heads * config.head_width
        self.heads = config.heads
        self.norm = nn.LayerNorm(width)
        self.to_q = nn.Linear(width, inner, bias=False)
        self.to_out = nn.Linear(inner, width, bias=False)
        self.gate = nn.Parameter(torch.full((1,), config.gate_start))

    def forward(
        self, rows: Float[Tensor, "batch row width"], keys: Tensor, values: Tensor, reading: Reading
    ) -> Float[Tensor, "batch row width"]:
        permission = reading.permission
        if permission is None:
            return rows
        q = split_heads(self.to_q(self.norm(rows)), self.heads)
        read = self.to_out(merge_heads(attend(q, keys, values, permission)))
        return rows + self.gate.tanh() * read


class DualRead(nn.Module):
    """Both reads of one layer, over the same keys and values."""

    def __init__(self, config: DualCrossAttention, width: int, memory_width: int) -> None:
        super().__init__()
        self.heads = config.heads
        self.to_kv = nn.Linear(memory_width, 2 * config.heads * config.head_width, bias=False)
        self.v2v, self.t2v = Read(config, width), Read(config, width)

    def forward(
        self, hidden: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token width"]:
        pair = kept(reading, self._keys)
        if pair is None:
            return hidden
        pieces = [
            self._reader(rows)(hidden[:, run], *pair, reading.within(run))
            for rows, run in reading.groups
        ]
        return torch.cat(pieces, dim=1)

    def _reader(self, rows: Rows) -> Read:
        return self.t2v if rows & TEXT else self.v2v

    def _keys(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        k, v = self.to_kv(tokens).chunk(2, -1)
        return split_heads(k, self.heads), split_heads(v, self.heads)

"""Gated cross-attention in blocks that are built as the host's own layers are (IDEFICS)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.fusion.entry import AsMemory
from chiasm.fusion.kept import given
from chiasm.layers import GatedMLP, attend, merge_heads, split_heads
from chiasm.spec import Host, Work
from chiasm.spec.reading import Reading
from chiasm.spec.slots import SlotParts, Slots
from chiasm.spec.work import Reads, attention, linear
from chiasm.stream import Permission


@dataclass(frozen=True, kw_only=True)
class GatedBlocks(AsMemory):
    """A gated block before every `every`-th layer (IDEFICS, arXiv 2306.16527).

    h <- h + tanh(a) XAttn(n(h), memory), then h <- h + tanh(b) FFN(m(h)): RMS norms n and m, heads
    and gated feed-forward of the host's sizes, an RMS norm over each head's queries and keys if
    `query_key_norm`; a and b are numbers, or vectors if `channel_gates`, and start at
    `gate_start`. An image holds no row of the sequence.
    """

    every: int
    query_key_norm: bool = False
    channel_gates: bool = False
    gate_start: float = 0.0

    def layers(self, depth: int) -> range:
        """The layers that are preceded by a gated block."""
        return range(0, depth, self.every)

    def fill(self, host: Host, parts: SlotParts) -> Slots:
        blocks = {
            layer: HostlikeBlock(self, host, parts.memory_width)
            for layer in self.layers(host.depth)
        }
        return Slots(before=blocks)

    def work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        work: list[Work] = []
        w, inner = host.width, host.heads * host.head_width
        for _ in self.layers(host.depth):
            if tokens:
                pairs, reads = text * tokens, Reads.MEMORY
                work += [
                    linear("decoder", "gated query and output", text, w, 2 * inner),
                    linear("decoder", "gated key and value", tokens, width, 2 * inner, once=True),
                    attention(
                        "decoder", "gated read", pairs, host.heads, host.head_width, reads=reads
                    ),
                ]
            work.append(linear("decoder", "gated feed-forward", text, w, 3 * host.ff_width))
        return work

    def cached(self, host: Host, tokens: int) -> int:
        return len(self.layers(host.depth)) * 2 * host.heads * host.head_width * tokens


class _Read(nn.Module):
    """Attention of the rows over the memory; memory keys and values are cached at prefill."""

    def __init__(self, config: GatedBlocks, host: Host, memory_width: int) -> None:
        super().__init__()
        inner, self.heads = host.heads * host.head_width, host.heads
        self.q_proj = nn.Linear(host.width, inner, bias=False)
        self.k_proj = nn.Linear(memory_width, inner, bias=False)
        self.v_proj = nn.Linear(memory_width, inner, bias=False)
        self.o_proj = nn.Linear(inner, host.width, bias=False)
        self.q_layer_norm = self.k_layer_norm = nn.Identity()
        if config.query_key_norm:
            self.q_layer_norm = nn.RMSNorm(host.head_width, eps=host.norm_eps)
            self.k_layer_norm = nn.RMSNorm(host.head_width, eps=host.norm_eps)

    def forward(self, normed: Tensor, reading: Reading, permission: Permission) -> Tensor:
        q = self.q_layer_norm(split_heads(self.q_proj(normed), self.heads))
        k, v = given(reading, self._keys)
        return self.o_proj(merge_heads(attend(q, k, v, permission)))

    def _keys(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        k = self.k_layer_norm(split_heads(self.k_proj(tokens), self.heads))
        return k, split_heads(self.v_proj(tokens), self.heads)


class HostlikeBlock(nn.Module):
    """One gated block. Parameters bear the names of transformers' Idefics layers."""

    def __init__(self, config: GatedBlocks, host: Host, memory_width: int) -> None:
        super().__init__()
        shape = (1, 1, host.width) if config.channel_gates else (1,)
        self.input_layernorm = nn.RMSNorm(host.width, eps=host.norm_eps)
        self.cross_attn = _Read(config, host, memory_width)
        self.post_attention_layernorm = nn.RMSNorm(host.width, eps=host.norm_eps)
        self.mlp = GatedMLP(host.width, host.ff_width, activation=host.activation)
        self.alpha_cross_attn = nn.Parameter(torch.full(shape, config.gate_start))
        self.alpha_dense = nn.Parameter(torch.full(shape, config.gate_start))

    def forward(
        self, hidden: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token width"]:
        # A row with no image to read reads zeros; its feed-forward runs all the same.
        if reading.permission is not None:
            read = self.cross_attn(self.input_layernorm(hidden), reading, reading.permission)
            hidden = hidden + self.alpha_cross_attn.tanh() * read
        thought = self.mlp(self.post_attention_layernorm(hidden))
        return hidden + self.alpha_dense.tanh() * thought

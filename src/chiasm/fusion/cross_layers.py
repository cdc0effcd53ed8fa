"""Layers that read the memory in place of the sequence, among the host's own (Llama 3.2 Vision)."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import cast

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
class CrossLayers(AsMemory):
    """Cross-attention layers among the host's own (Llama 3.2 Vision, arXiv 2407.21783, section 7).

    h <- h + tanh(a) XAttn(n(h), memory), then h <- h + tanh(b) FFN(m(h)), the second only for rows
    that name an image (`item` is not 0): RMS norms n and m, query and key heads and gated
    feed-forward of the host's sizes, an RMS norm over each head's queries and keys, no positions;
    a and b start at `gate_start`. Without a memory the layer is left out, its feed-forward
    included. `before` names the host's layer that each precedes, in ascending order; a layer may
    be preceded by several, and the host's depth stands for what follows its last layer. An image
    holds no row of the sequence.
    """

    before: tuple[int, ...]
    gate_start: float = 0.0

    def fill(self, host: Host, parts: SlotParts) -> Slots:
        wrong = [at for at in self.before if not 0 <= at <= host.depth]
        if wrong or list(self.before) != sorted(self.before):
            raise ValueError(
                f"cross-attention layers before {self.before} of {host.depth} layers; name them in "
                f"ascending order, from 0 to {host.depth}"
            )
        return Slots(
            before={
                at: CrossLayerRun(CrossLayer(self, host, parts.memory_width, n) for n, _ in run)
                for at, run in ((at, list(enumerate(same))) for at, same in groupby(self.before))
            }
        )

    def work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        if not tokens:
            return ()
        w, inner, held = host.width, host.heads * host.head_width, host.kv_heads * host.head_width
        pairs, reads = text * tokens, Reads.MEMORY
        return [
            work
            for _ in self.before
            for work in (
                linear("decoder", "cross query and output", text, w, 2 * inner),
                linear("decoder", "cross key and value", tokens, width, 2 * held, once=True),
                attention("decoder", "cross read", pairs, host.heads, host.head_width, reads=reads),
                linear("decoder", "cross feed-forward", text, w, 3 * host.ff_width),
            )
        ]

    def cached(self, host: Host, tokens: int) -> int:
        return len(self.before) * 2 * host.kv_heads * host.head_width * tokens


class CrossLayerRun(nn.ModuleList):
    """The cross-attention layers before one layer of the host, one after another."""

    def forward(
        self, hidden: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token width"]:
        for layer in self:
            hidden = cast(Tensor, layer(hidden, reading))
        return hidden


class CrossLayer(nn.Module):
    """One cross-attention layer. Parameters bear the names of transformers' Mllama layers."""

    def __init__(self, config: CrossLayers, host: Host, memory_width: int, number: int) -> None:
        super().__init__()
        self.input_layernorm = nn.RMSNorm(host.width, eps=host.norm_eps)
        self.cross_attn = _Read(host, memory_width, number)
        self.post_attention_layernorm = nn.RMSNorm(host.width, eps=host.norm_eps)
        self.mlp = GatedMLP(host.width, host.ff_width, activation=host.activation)
        self.cross_attn_attn_gate = nn.Parameter(torch.full((1,), config.gate_start))
        self.cross_attn_mlp_gate = nn.Parameter(torch.full((1,), config.gate_start))

    def forward(
        self, hidden: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token width"]:
        if reading.permission is None:
            return hidden
        read = self.cross_attn(self.input_layernorm(hidden), reading, reading.permission)
        hidden = hidden + self.cross_attn_attn_gate.tanh() * read
        thought = self.mlp(self.post_attention_layernorm(hidden))
        named = (reading.table.item != 0).unsqueeze(-1)
        return hidden + self.cross_attn_mlp_gate.tanh() * thought * named


class _Read(nn.Module):
    """Grouped attention over the memory; memory keys and values are cached at prefill."""

    def __init__(self, host: Host, memory_width: int, number: int) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.number = host.heads, host.kv_heads, number
        inner, held = host.heads * host.head_width, host.kv_heads * host.head_width
        self.q_proj = nn.Linear(host.width, inner, bias=False)
        self.k_proj = nn.Linear(memory_width, held, bias=False)
        self.v_proj = nn.Linear(memory_width, held, bias=False)
        self.o_proj = nn.Linear(inner, host.width, bias=False)
        self.q_norm = nn.RMSNorm(host.head_width, eps=host.norm_eps)
        self.k_norm = nn.RMSNorm(host.head_width, eps=host.norm_eps)

    def forward(self, normed: Tensor, reading: Reading, permission: Permission) -> Tensor:
        q = self.q_norm(split_heads(self.q_proj(normed), self.heads))
        k, v = given(reading, self._keys, (reading.layer, self.number))
        return self.o_proj(merge_heads(attend(q, k, v, permission)))

    def _keys(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        k = self.k_norm(split_heads(self.k_proj(tokens), self.kv_heads))
        return k, split_heads(self.v_proj(tokens), self.kv_heads)

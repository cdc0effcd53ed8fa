"""Queries and keys of the vision encoders that transformers' models have."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from chiasm.compressing.host import Call
from chiasm.compressing.turning import turned

Pair = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class SeparateTower:
    """CLIP, SigLIP, Idefics3, InternViT: one projection each, images one above the other."""

    blocks: Sequence[nn.Module]
    class_tokens: int

    def full(self, block: int) -> int:
        return block

    def queries_keys(self, block: nn.Module, hidden: Tensor, told: Call) -> Sequence[Pair]:
        attention: Any = block
        q, k = attention.q_proj(hidden), attention.k_proj(hidden)
        if hasattr(attention, "q_norm"):
            q, k = attention.q_norm(q), attention.k_norm(k)
        heads = attention.num_heads
        q, k = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (q, k))
        q = q * q.shape[-1] ** -0.5
        return list(zip(q.unbind(0), k.unbind(0), strict=True))


@dataclass(frozen=True)
class JoinedTower:
    """Our own vision transformer: a norm and one projection for q, k, v inside each layer."""

    blocks: Sequence[nn.Module]
    class_tokens: int

    def full(self, block: int) -> int:
        return block

    def queries_keys(self, block: nn.Module, hidden: Tensor, told: Call) -> Sequence[Pair]:
        layer: Any = block
        q, k, _ = layer.qkv(layer.norm1(hidden)).chunk(3, -1)
        q, k = (x.unflatten(-1, (layer.heads, -1)).transpose(1, 2) for x in (q, k))
        q = q * q.shape[-1] ** -0.5
        return list(zip(q.unbind(0), k.unbind(0), strict=True))


@dataclass(frozen=True)
class PackedTower:
    """Qwen's: one projection for q, k, v, rotary positions, units of any size in one sequence."""

    tower: nn.Module
    windowed: bool

    @property
    def class_tokens(self) -> int:
        return 0

    @property
    def blocks(self) -> Sequence[nn.Module]:
        return [block.attn for block in self.tower.blocks]  # type: ignore[union-attr]

    def full(self, block: int) -> int:
        if not self.windowed:
            return block
        whole = sorted(self.tower.config.fullatt_block_indexes)  # type: ignore[union-attr]
        return next((one for one in whole if one >= block), whole[-1])

    def queries_keys(self, block: nn.Module, hidden: Tensor, told: Call) -> Sequence[Pair]:
        attention: Any = block
        q, k, _ = attention.qkv(hidden).unflatten(-1, (3, attention.num_heads, -1)).unbind(1)
        tables = [table.float() for table in told["position_embeddings"]]
        q, k = (turned(x.float(), *tables).to(x) for x in (q, k))
        q = q * q.shape[-1] ** -0.5
        ends = told["cu_seqlens"].tolist()
        return [(q[a:b].transpose(0, 1), k[a:b].transpose(0, 1)) for a, b in pairwise(ends)]

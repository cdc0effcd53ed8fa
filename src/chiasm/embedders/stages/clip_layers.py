"""CLIP's two sides of transformers, layer by layer, for what enters between or inside layers."""

from typing import Any, cast

from torch import Tensor, nn

from chiasm.layers import attend, merge_heads, split_heads
from chiasm.stream import Permission

CAUSAL, OPEN = Permission(causal=True), Permission()


def attended(layer: nn.Module, x: Tensor, permission: Permission = OPEN) -> Tensor:
    """x + attention(LN x): the first half of a layer."""
    own = cast(Any, layer)
    attention, n = own.self_attn, own.layer_norm1(x)
    maps = (attention.q_proj, attention.k_proj, attention.v_proj)
    q, k, v = (split_heads(one(n), attention.num_heads) for one in maps)
    return x + attention.out_proj(merge_heads(attend(q, k, v, permission)))


def fed(layer: nn.Module, x: Tensor) -> Tensor:
    """x + mlp(LN x): the second half."""
    own = cast(Any, layer)
    return x + own.mlp(own.layer_norm2(x))


def inside(model: Any, name: str) -> Any:
    """The network of a model, which some releases wrap once more."""
    return getattr(model, name, model)

"""CLIP's two sides of transformers, layer by layer, for what enters between or inside layers."""

from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn


def attended(layer: nn.Module, x: Tensor, mask: Tensor | None = None) -> Tensor:
    """x + attention(LN x): the first half of a layer; `mask` is added to the logits."""
    own = cast(Any, layer)
    return x + own.self_attn(own.layer_norm1(x), attention_mask=mask)[0]


def fed(layer: nn.Module, x: Tensor) -> Tensor:
    """x + mlp(LN x): the second half."""
    own = cast(Any, layer)
    return x + own.mlp(own.layer_norm2(x))


def inside(model: nn.Module, name: str) -> Any:
    """The network of a model, which some releases wrap once more."""
    return getattr(model, name, model)


def causal(count: int, like: Tensor) -> Float[Tensor, "1 1 token token"]:
    """What is added to logits so that a token reads itself and those before it."""
    closed = torch.full((count, count), -torch.inf, dtype=like.dtype, device=like.device)
    return closed.triu(1)[None, None]

"""Attention of a decoder layer, recomputed for the rows that a scorer asks for and no others."""

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


def attention_rows(
    layer: nn.Module,
    hidden: Float[Tensor, "row width"],
    turned: tuple[Tensor, Tensor],
    queries: Int[Tensor, " query"],
    seen: Tensor,
    past: Tensor | None,
    *,
    logits: bool,
) -> Float[Tensor, "head query row"]:
    """softmax(q k^T / sqrt(head width)) of some rows of one sample, as the layer will compute it.

    Args:
        layer: a decoder layer with separate projections, norms before them, rotary positions.
        hidden: what the layer is given.
        turned: cosines and sines `[row, head width]`.
        queries: which rows ask.
        seen: `[query, past + row]`, whom they see.
        past: keys `[kv_head, past, head width]` of earlier calls, part of the softmax only.
        logits: the scaled products instead, -inf where unseen.
    """
    attention: Any = layer.self_attn
    normed = layer.input_layernorm(hidden)  # type: ignore[operator]
    width = attention.head_dim
    q = attention.q_proj(normed[queries]).unflatten(-1, (-1, width))
    k = attention.k_proj(normed).unflatten(-1, (-1, width))
    if hasattr(attention, "q_norm"):
        q, k = attention.q_norm(q), attention.k_norm(k)
    cosine, sine = turned
    q = _turn(q, cosine[queries], sine[queries]).transpose(0, 1)
    k = _turn(k, cosine, sine).transpose(0, 1)
    before = 0 if past is None else past.shape[1]
    if past is not None:
        k = torch.cat([past.to(k), k], 1)
    k = k.repeat_interleave(q.shape[0] // k.shape[0], 0)
    products = (q @ k.mT).float() * attention.scaling
    products = products.masked_fill(~seen, -torch.inf)
    if logits:
        return products[..., before:]
    return products.softmax(-1)[..., before:]


def _turn(x: Float[Tensor, "row head width"], cosine: Tensor, sine: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    turned = torch.cat([-second, first], -1)
    return x * cosine.unsqueeze(1) + turned * sine.unsqueeze(1)

"""Scaled dot-product attention over permitted pairs, and its slow reference."""

import functools
from collections.abc import Callable
from typing import Any, cast

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.attention.flex_attention import flex_attention

from chiasm.stream import Permission


def split_heads(x: Float[Tensor, "batch token width"], heads: int) -> Tensor:
    """`[batch, token, heads * head_width]` to `[batch, heads, token, head_width]`."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(x: Float[Tensor, "batch head token head_width"]) -> Tensor:
    """`[batch, heads, token, head_width]` to `[batch, token, heads * head_width]`."""
    return x.transpose(1, 2).flatten(2)


@functools.cache
def _compiled_flex() -> Callable[..., Any]:
    return cast("Callable[..., Any]", torch.compile(flex_attention, dynamic=True))


def attend(
    q: Float[Tensor, "batch head query head_width"],
    k: Float[Tensor, "batch kv_head key head_width"],
    v: Float[Tensor, "batch kv_head key head_width"],
    permission: Permission,
    *,
    scale: float | None = None,
) -> Float[Tensor, "batch head query head_width"]:
    """softmax(q k^T / sqrt(head_width)) v over the permitted pairs.

    Grouped queries share a key head when `kv_head` divides `head`. A query with no permitted key
    reads zeros. Equals `attend_slowly` in values and gradients.
    """
    grouped = q.shape[1] != k.shape[1]
    if permission.block is not None:
        run = _compiled_flex() if q.is_cuda else flex_attention
        return run(q, k, v, block_mask=permission.block, scale=scale, enable_gqa=grouped)
    mask = None if permission.dense is None else permission.dense.unsqueeze(1)
    return F.scaled_dot_product_attention(
        q, k, v, attn_mask=mask, is_causal=permission.causal, scale=scale, enable_gqa=grouped
    )


def attention_map(
    q: Float[Tensor, "batch head query head_width"],
    k: Float[Tensor, "batch kv_head key head_width"],
    permission: Permission,
) -> Float[Tensor, "batch head query key"]:
    """softmax(q k^T / sqrt(head_width)) itself, for what needs the map and not only the read.

    Rows without a permitted key are zeros. The permission is dense, or permits everything.
    """
    if permission.block is not None or permission.causal:
        raise ValueError("a map is made under a dense permission; this one is another form")
    scores = q @ k.repeat_interleave(q.shape[1] // k.shape[1], 1).transpose(-1, -2)
    scores = scores * q.shape[-1] ** -0.5
    if permission.dense is None:
        return scores.softmax(-1)
    return softmax_over(scores, permission.dense.unsqueeze(1))


def logits_over(
    scores: Float[Tensor, "*at key"], permitted: Bool[Tensor, "*#at key"]
) -> Float[Tensor, "*at key"]:
    """The scores, -inf where a pair is not permitted."""
    return scores.masked_fill(~permitted, float("-inf"))


def softmax_over(
    scores: Float[Tensor, "*at key"], permitted: Bool[Tensor, "*#at key"]
) -> Float[Tensor, "*at key"]:
    """The softmax over the permitted keys alone; zeros where none is."""
    return logits_over(scores, permitted).softmax(-1).masked_fill(~permitted, 0.0)


def attend_slowly(
    q: Float[Tensor, "batch head query head_width"],
    k: Float[Tensor, "batch kv_head key head_width"],
    v: Float[Tensor, "batch kv_head key head_width"],
    permitted: Tensor,
    *,
    scale: float | None = None,
) -> Float[Tensor, "batch head query head_width"]:
    """The equation, with `permitted` a boolean `[batch, query, key]`; the reference of `attend`."""
    repeats = q.shape[1] // k.shape[1]
    k, v = k.repeat_interleave(repeats, 1), v.repeat_interleave(repeats, 1)
    scores = q @ k.transpose(-1, -2) * (scale if scale is not None else q.shape[-1] ** -0.5)
    return softmax_over(scores, permitted.unsqueeze(1)) @ v

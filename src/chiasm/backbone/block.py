"""One decoder block of the Llama family, which touches only the rows its plan names."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from chiasm.backbone.cache import Cache
from chiasm.layers import (
    GatedMLP,
    RotaryTables,
    attend,
    merge_heads,
    rotate,
    split_heads,
)
from chiasm.spec.host import Host
from chiasm.stream import Permission


@dataclass(frozen=True)
class Runs:
    """The contiguous rows that make queries, keys and values, output and feed-forward."""

    query: slice
    key_value: slice
    output: slice
    feed_forward: slice


@dataclass(frozen=True)
class Updates:
    """Masked-dense execution, `[batch, token, 1]`: False where a row's update must not count."""

    output: Bool[Tensor, "batch token 1"]
    feed_forward: Bool[Tensor, "batch token 1"]


def cut(tables: RotaryTables, rows: slice) -> RotaryTables:
    return RotaryTables(tables.cos[:, rows], tables.sin[:, rows])


def add(
    hidden: Float[Tensor, "batch token width"], rows: slice, update: Tensor
) -> Float[Tensor, "batch token width"]:
    """`hidden` with `update` added to a run of rows."""
    if rows.start == 0 and rows.stop == hidden.shape[1]:
        return hidden + update
    kept = [hidden[:, : rows.start], hidden[:, rows] + update, hidden[:, rows.stop :]]
    return torch.cat(kept, dim=1)


class Attention(nn.Module):
    """Grouped-query attention with rotary positions (arXiv 2305.13245, 2104.09864)."""

    def __init__(self, host: Host, layer: int) -> None:
        super().__init__()
        self.host, self.layer = host, layer
        inner, shared = host.heads * host.head_width, host.kv_heads * host.head_width
        self.q_proj = nn.Linear(host.width, inner, bias=host.query_key_value_bias)
        self.k_proj = nn.Linear(host.width, shared, bias=host.query_key_value_bias)
        self.v_proj = nn.Linear(host.width, shared, bias=host.query_key_value_bias)
        self.o_proj = nn.Linear(inner, host.width, bias=host.output_bias)
        if host.query_key_norm:
            self.q_norm = nn.RMSNorm(host.head_width, eps=host.norm_eps)
            self.k_norm = nn.RMSNorm(host.head_width, eps=host.norm_eps)

    def forward(
        self,
        normed: Float[Tensor, "batch token width"],
        runs: Runs,
        rotary: RotaryTables,
        permission: Permission,
        cache: Cache | None,
    ) -> Float[Tensor, "batch output width"]:
        """The attention update of the output rows."""
        queries, sources = normed[:, runs.query], normed[:, runs.key_value]
        q = split_heads(self.q_proj(queries), self.host.heads)
        k = split_heads(self.k_proj(sources), self.host.kv_heads)
        v = split_heads(self.v_proj(sources), self.host.kv_heads)
        if self.host.query_key_norm:
            q, k = self.q_norm(q), self.k_norm(k)
        q = rotate(q, cut(rotary, runs.query))
        k = rotate(k, cut(rotary, runs.key_value))
        own = v
        if cache is not None:
            k, v = cache.append(self.layer, k, v)
        read = merge_heads(attend(q, k, v, permission))
        if runs.output != runs.query:
            read = self._with_diagonal(read, own, runs)
        return self.o_proj(read)

    def _with_diagonal(self, read: Tensor, own: Tensor, runs: Runs) -> Tensor:
        """Output rows without a query read their own value."""
        values = own.repeat_interleave(self.host.heads // self.host.kv_heads, dim=1)
        diagonal = merge_heads(values)
        start = runs.key_value.start
        before = diagonal[:, runs.output.start - start : runs.query.start - start]
        after = diagonal[:, runs.query.stop - start : runs.output.stop - start]
        return torch.cat([before, read, after], dim=1)


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)), each on the rows of the plan."""

    def __init__(self, host: Host, layer: int) -> None:
        super().__init__()
        self.self_attn = Attention(host, layer)
        self.mlp = GatedMLP(
            host.width, host.ff_width, bias=host.mlp_bias, activation=host.activation
        )
        self.input_layernorm = nn.RMSNorm(host.width, eps=host.norm_eps)
        self.post_attention_layernorm = nn.RMSNorm(host.width, eps=host.norm_eps)

    def forward(
        self,
        hidden: Float[Tensor, "batch token width"],
        runs: Runs,
        rotary: RotaryTables,
        permission: Permission,
        cache: Cache | None = None,
        updates: Updates | None = None,
    ) -> Float[Tensor, "batch token width"]:
        """`updates` says, in masked-dense execution, which rows of the full runs change."""
        normed = self.input_layernorm(hidden)
        read = self.self_attn(normed, runs, rotary, permission, cache)
        hidden = add(hidden, runs.output, read if updates is None else read * updates.output)
        update = self.mlp(self.post_attention_layernorm(hidden[:, runs.feed_forward]))
        if updates is not None:
            update = update * updates.feed_forward
        return add(hidden, runs.feed_forward, update)

"""Attention of one layer: queries, keys and values of the plan's rows, and the slots inside."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from chiasm.backbone.cache import Cache, Key, KeyValue
from chiasm.layers import Kind, RotaryTables, Vectors, merge_heads, rotate, split_heads
from chiasm.spec.host import Host
from chiasm.spec.reading import Held, Inside, Reading
from chiasm.spec.slots import Before, Beside, Joined, NormSite, Site, Weights
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


@dataclass(frozen=True)
class Step:
    """What a block is told about one layer of one call."""

    runs: Runs
    rotary: RotaryTables | None
    """None in a layer that does not turn its queries and keys."""
    permission: Permission
    reading: Reading
    """Of all rows of the call."""
    cache: Cache | None = None
    updates: Updates | None = None
    joined: Joined | None = None
    beside: Beside | None = None
    between: Before | None = None


class Attention(nn.Module):
    """Grouped-query attention with rotary positions (arXiv 2305.13245, 2104.09864)."""

    def __init__(self, host: Host, layer: int, weights: Weights, key: Key) -> None:
        super().__init__()
        host = host.at(layer)
        self.host, self.key, self.turns = host, key, host.turns(layer)
        inner, shared = host.heads * host.head_width, host.kv_heads * host.head_width
        bias = host.query_key_value_bias
        self.q_proj = weights.linear(layer, Site.QUERY, host.width, inner, bias=bias)
        self.k_proj = weights.linear(layer, Site.KEY, host.width, shared, bias=bias)
        self.v_proj = weights.linear(layer, Site.VALUE, host.width, shared, bias=bias)
        self.o_proj = weights.linear(layer, Site.OUTPUT, inner, host.width, bias=host.output_bias)
        if host.query_key_norm:
            self.q_norm = weights.norm(layer, NormSite.QUERY, host.head_width)
            self.k_norm = weights.norm(layer, NormSite.KEY, host.head_width)
        self.read_norm = weights.norm(layer, NormSite.READ, inner) if host.sub_norm else None

    def forward(
        self, normed: Float[Tensor, "batch token width"], first: int, norm: nn.Module, step: Step
    ) -> Float[Tensor, "batch output width"]:
        """The attention update of the output rows. `normed` starts at row `first` of the call."""
        runs, reading = step.runs, step.reading
        of_queries, of_keys = reading.on(runs.query), reading.on(runs.key_value)
        queries, sources = (
            normed[:, _from(first, runs.query)],
            normed[:, _from(first, runs.key_value)],
        )
        q = split_heads(self.q_proj(queries, of_queries), self.host.heads)
        k = split_heads(self.k_proj(sources, of_keys), self.host.kv_heads)
        v = split_heads(self.v_proj(sources, of_keys), self.host.kv_heads)
        if self.host.query_key_norm:
            q, k = self.q_norm(q, of_queries), self.k_norm(k, of_keys)
        if step.rotary is not None:
            q = rotate(q, step.rotary.cut(runs.query))
            k = rotate(k, step.rotary.cut(runs.key_value))
        own, permission = v, step.permission
        held: Held = KeyValue(k, v)
        if step.cache is not None:
            held = step.cache.append(self.key, k, v, of_keys.table)
        inside = Inside(q, queries, norm, of_queries, held, permission)
        if step.joined is not None and of_queries.dense_permission is not None:
            held = held.extended(*step.joined(inside))
            permission = _side_by_side(permission, of_queries.dense_permission)
        read = merge_heads(held.attend(q, permission))
        if step.beside is not None:
            read = step.beside(inside, read)
        if runs.output != runs.query:
            read = self._with_diagonal(read, own, runs)
        of_output = reading.on(runs.output)
        if self.read_norm is not None:
            read = self.read_norm(read, of_output)
        return self.o_proj(read, of_output)

    def vectors(self) -> Sequence[Vectors]:
        """Channels of the heads; none where rotary pairs, norms or other weights tie them."""
        host = self.host
        layers = (self.q_proj, self.k_proj, self.v_proj, self.o_proj)
        tied = self.turns or host.query_key_norm or host.sub_norm
        if tied or not all(isinstance(layer, nn.Linear) for layer in layers):
            return ()
        q, k, v, o = cast("tuple[nn.Linear, nn.Linear, nn.Linear, nn.Linear]", layers)
        made = ((q, host.heads), (k, host.kv_heads), (v, host.kv_heads))
        return (Vectors(Kind.ATTENTION, host.head_width, made, (o, host.heads), queries=q),)

    def _with_diagonal(self, read: Tensor, own: Tensor, runs: Runs) -> Tensor:
        """Output rows without a query read their own value."""
        values = own.repeat_interleave(self.host.heads // self.host.kv_heads, dim=1)
        diagonal = merge_heads(values)
        start = runs.key_value.start
        before = diagonal[:, runs.output.start - start : runs.query.start - start]
        after = diagonal[:, runs.query.stop - start : runs.output.stop - start]
        return torch.cat([before, read, after], dim=1)


def _from(first: int, rows: slice) -> slice:
    """A run of rows, counted from row `first`."""
    return slice(rows.start - first, rows.stop - first)


def _side_by_side(sequence: Permission, memory: Permission) -> Permission:
    """One mask over [keys of the sequence, keys of the memory]; both are dense."""
    assert sequence.dense is not None and memory.dense is not None
    return Permission(dense=torch.cat([sequence.dense, memory.dense], dim=2))

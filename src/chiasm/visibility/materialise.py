"""Rules made concrete: plain causal, a block mask on a GPU, a dense mask otherwise."""

from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Bool
from torch import Tensor
from torch.nn.attention.flex_attention import create_block_mask

from chiasm.stream import Permission, Rule, TokenTable
from chiasm.stream.rule import Side
from chiasm.visibility.causal import Causal, SameSegment


@dataclass(frozen=True)
class _Columns:
    """A table's columns with an axis inserted, so that queries and keys broadcast."""

    table: TokenTable
    axis: int

    def __getattr__(self, name: str) -> Tensor:
        return getattr(self.table, name).unsqueeze(self.axis)


@dataclass(frozen=True)
class _Cell:
    """One row of a table, addressed by (batch, index) inside a FlexAttention mask function."""

    table: TokenTable
    batch: Tensor
    index: Tensor

    def __getattr__(self, name: str) -> Tensor:
        return getattr(self.table, name)[self.batch, self.index]


def dense_mask(
    rule: Rule, queries: TokenTable, keys: TokenTable
) -> Bool[Tensor, "batch query key"]:
    """The rule, packed segments and key validity as one boolean mask."""
    q, k = cast("Side", _Columns(queries, 2)), cast("Side", _Columns(keys, 1))
    permitted = rule.permit(q, k) & SameSegment().permit(q, k) & k.valid
    return permitted.expand(queries.shape[0], queries.shape[1], keys.shape[1])


def materialise(rule: Rule, queries: TokenTable, keys: TokenTable) -> Permission:
    """The cheapest exact form of `rule` for these rows.

    Plain causal is recognised when queries are the keys, in reading order, unpacked, with padding
    (if any) only at the end; its attention needs no mask.
    """
    if rule == Causal() and queries is keys and _plain(keys):
        return Permission(causal=True)
    if queries.device.type == "cuda" and queries.shape[1] > 1:
        return Permission(block=block_mask(rule, queries, keys))
    mask = dense_mask(rule, queries, keys)
    if queries is keys and _plain(keys) and _causal(mask, keys):
        return Permission(causal=True)
    return Permission() if queries.shape[1] == 1 and bool(mask.all()) else Permission(dense=mask)


def dense_permission(rule: Rule, queries: TokenTable, keys: TokenTable) -> Permission:
    """Always the dense mask: the reference that the cheaper forms must equal."""
    return Permission(dense=dense_mask(rule, queries, keys))


def block_mask(rule: Rule, queries: TokenTable, keys: TokenTable) -> Any:
    """The rule as a FlexAttention block mask; blocks of 128 x 128 without a pair are skipped."""
    segment = SameSegment()

    def permit(batch: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        q = cast("Side", _Cell(queries, batch, query))
        k = cast("Side", _Cell(keys, batch, key))
        return rule.permit(q, k) & segment.permit(q, k) & k.valid

    return create_block_mask(
        permit,
        B=queries.shape[0],
        H=None,
        Q_LEN=queries.shape[1],
        KV_LEN=keys.shape[1],
        device=queries.device,
    )


def _causal(mask: Bool[Tensor, "batch query key"], table: TokenTable) -> bool:
    """Whether every real row sees what plain causal order shows it: rules of media, without any."""
    order = torch.ones(mask.shape[1:], dtype=torch.bool, device=mask.device).tril()
    return not bool(((mask != order) & table.valid.unsqueeze(2) & table.valid.unsqueeze(1)).any())


def _plain(table: TokenTable) -> bool:
    """Reading order is storage order, one segment, and no valid row follows an invalid one."""
    ordered = bool((table.order[:, 1:] > table.order[:, :-1]).all())
    one_segment = bool((table.segment == table.segment[:, :1]).all())
    valid = table.valid.to(torch.int8)
    return ordered and one_segment and not bool((valid[:, 1:] > valid[:, :-1]).any())

"""Rows in the order in which they are read, and what the rows before each add up to."""

import torch
from jaxtyping import Int
from torch import Tensor

from chiasm.stream import SHARED, TokenTable


def reading_order(table: TokenTable) -> Int[Tensor, "batch token"]:
    """Storage places of the rows, segment by segment, each as it is read."""
    reach = table.order.amax() + 1
    return (table.segment * reach + table.order).argsort(dim=1, stable=True)


def added_before(
    table: TokenTable, steps: Int[Tensor, "batch token"]
) -> Int[Tensor, "batch token"]:
    """The sum of the steps of all rows before each row of a table in reading order; a packed
    segment goes on from the shared rows, not from the segment before it.
    """
    before = steps.cumsum(1) - steps
    shared = (steps * (table.segment == SHARED)).sum(1, keepdim=True)
    opens = torch.ones_like(before, dtype=torch.bool)
    opens[:, 1:] = table.segment[:, 1:] != table.segment[:, :-1]
    start = before.masked_fill(~opens, 0).cummax(1).values
    return before - start + shared * (table.segment != SHARED)

"""Rows of a call by the group whose weights process them."""

from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from chiasm.spec.reading import Reading
from chiasm.stream import Rows, TokenTable

Apply = Callable[[Tensor, Reading], Tensor]


def group_at(groups: Sequence[Rows], rows: Rows) -> int:
    """The group that a run of rows belongs to.

    Raises ValueError for a run of rows that is in none, or not in one alone.
    """
    for at, group in enumerate(groups):
        if rows & group == rows:
            return at
    raise ValueError(f"no one of {len(groups)} groups of weights holds the rows {rows}")


def by_group(
    x: Float[Tensor, "batch *head token width"],
    reading: Reading,
    groups: Sequence[Rows],
    modules: Sequence[Apply],
) -> Float[Tensor, "batch *head token out"]:
    """Each run of rows through its group's module; a group without rows passes none.

    Rows are stored sorted by group: runs are slices, nothing is gathered. A module is called even
    on no rows, so that its gradients exist (zeros) on every device of a distributed run.
    """
    pieces, met = [], set[int]()
    for rows, run in reading.groups:
        at = group_at(groups, rows)
        met.add(at)
        pieces.append(modules[at](x[..., run, :], reading.within(run)))
    nobody = slice(x.shape[-2], x.shape[-2])
    pieces += [
        modules[at](x[..., nobody, :], reading.within(nobody))
        for at in range(len(groups))
        if at not in met
    ]
    return torch.cat(pieces, dim=-2)


def group_index(groups: Sequence[Rows], table: TokenTable) -> Int[Tensor, "batch token"]:
    """The number of each row's group; rows in none count to the first."""
    index = torch.zeros_like(table.modality)
    for at, rows in enumerate(groups):
        index = index.masked_fill(rows.select(table), at)
    return index

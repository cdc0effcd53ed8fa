"""Routes executed: rows sorted by expert, one grouped product, weighed, scattered back."""

from collections.abc import Iterator
from typing import Protocol

import torch
from jaxtyping import Float, Int
from torch import Tensor

from chiasm.experts.routes import Routes


class Experts(Protocol):
    """Stacked experts, asked in one of three ways that agree."""

    def grouped(
        self, x: Float[Tensor, "pair width"], ends: Int[Tensor, " expert"]
    ) -> Float[Tensor, "pair out"]:
        """Rows sorted by expert; `ends[e]` is where expert e's end."""
        ...

    def equal(
        self, x: Float[Tensor, "expert row width"], experts: slice
    ) -> Float[Tensor, "expert row out"]:
        """As many rows for each of a run of experts."""
        ...

    def single(self, x: Float[Tensor, "row width"], expert: int) -> Float[Tensor, "row out"]:
        """One expert alone."""
        ...


def execute(x: Float[Tensor, "row width"], routes: Routes, experts: Experts) -> Tensor:
    """y_t = sum over the pairs (t, e, w) of w FFN_e(x_t); rows without a pair get zeros.

    Where the experts' sizes are known beforehand (expert choice) each run of equal sizes is one
    batched product; else the rows are sorted, and no count leaves the device. Equals
    `execute_slowly` in values and gradients.
    """
    if routes.sizes is None:
        order = routes.expert.argsort(stable=True)
        row, weight = routes.row[order], routes.weight[order]
        counts = torch.bincount(routes.expert, minlength=routes.experts)
        out = experts.grouped(x.index_select(0, row), counts.cumsum(0).int())
    else:
        row, weight = routes.row, routes.weight
        taken = x.index_select(0, row)
        runs = [
            experts.equal(
                taken[start : start + len(at) * size].unflatten(0, (len(at), size)), _run(at)
            )
            for at, size, start in _equal_runs(routes.sizes)
        ]
        out = torch.cat([run.flatten(0, 1) for run in runs])
    return _gathered(x, row, weight, out)


def execute_slowly(x: Float[Tensor, "row width"], routes: Routes, experts: Experts) -> Tensor:
    """One expert after the other; the reference of `execute`."""
    total = None
    for expert in range(routes.experts):
        pairs = (routes.expert == expert).nonzero().flatten()
        row = routes.row[pairs]
        part = _gathered(x, row, routes.weight[pairs], experts.single(x[row], expert))
        total = part if total is None else total + part
    assert total is not None
    return total


def _gathered(x: Tensor, row: Tensor, weight: Tensor, out: Tensor) -> Tensor:
    weighed = out * weight.unsqueeze(-1).to(out.dtype)
    return weighed.new_zeros(x.shape[0], out.shape[1]).index_add(0, row, weighed)


def _run(at: range) -> slice:
    return slice(at.start, at.stop)


def _equal_runs(sizes: tuple[int, ...]) -> Iterator[tuple[range, int, int]]:
    """(experts, rows of each, first row) of the runs of neighbours with as many rows."""
    first, start = 0, 0
    while first < len(sizes):
        last = first
        while last < len(sizes) and sizes[last] == sizes[first]:
            last += 1
        yield range(first, last), sizes[first], start
        start += (last - first) * sizes[first]
        first = last

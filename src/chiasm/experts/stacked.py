"""Feed-forwards stacked along an expert axis, as one grouped (or batched) product each."""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers.activations import ACT2FN

from chiasm.layers import GroupedLinear

Matrix = Callable[[str, int, int], GroupedLinear]
"""Makes the stacked matrices of one site (gate, up or down) from width to out."""


class StackedFeedForward(nn.Module):
    """E feed-forwards: down(act(gate(x)) * up(x)), or down(act(up(x))) without a gate.

    `[pair, width]` to `[pair, width]`, every pair through its own expert's matrices.
    """

    def __init__(
        self, matrix: Matrix, width: int, hidden: int, *, gated: bool, activation: str
    ) -> None:
        super().__init__()
        self.gate_proj = matrix("gate", width, hidden) if gated else None
        self.up_proj = matrix("up", width, hidden)
        self.down_proj = matrix("down", hidden, width)
        self.activation = ACT2FN[activation]

    def grouped(self, x: Float[Tensor, "pair width"], ends: Int[Tensor, " expert"]) -> Tensor:
        """Rows sorted by expert."""
        return self._run(x, lambda matrix, rows: matrix.grouped(rows, ends))

    def equal(self, x: Float[Tensor, "expert row width"], experts: slice) -> Tensor:
        """As many rows for each of a run of experts."""
        return self._run(x, lambda matrix, rows: matrix.equal(rows, experts))

    def single(self, x: Float[Tensor, "row width"], expert: int) -> Tensor:
        """One expert alone."""
        return self._run(x, lambda matrix, rows: matrix.single(rows, expert))

    def _run(self, x: Tensor, apply: Callable[[GroupedLinear, Tensor], Tensor]) -> Tensor:
        up = apply(self.up_proj, x)
        gate = None if self.gate_proj is None else apply(self.gate_proj, x)
        hidden = self.activation(up) if gate is None else self.activation(gate) * up
        return apply(self.down_proj, hidden)

    @torch.no_grad()
    def copy_from(self, dense: nn.Module) -> None:
        """Start from a dense feed-forward of the same kind (sparse upcycling, arXiv 2212.05055).

        Experts as wide as it become it; narrower ones take its hidden units in turn, around its end
        to its start again.
        """
        for name, matrix in self.named_children():
            if isinstance(matrix, GroupedLinear):
                values = getattr(dense, name).weight.T
                inward = name == "down_proj"
                for expert, weight in enumerate(matrix.weight):
                    axis = 0 if inward else 1
                    count = weight.shape[axis]
                    units = torch.arange(count, device=weight.device) + expert * count
                    weight.copy_(values.index_select(axis, units % values.shape[axis]))

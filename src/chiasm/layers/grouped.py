"""Matrices with an expert axis: each run of rows is multiplied by its own."""

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.flop_counter import flop_registry, register_flop_formula

ALIGNED = 16
"""Bytes that a row of either operand of a grouped product must be a multiple of."""


class GroupedLinear(nn.Module):
    """One matrix `[width, out]` an expert: y_i = x_i W_e(i), asked in one of three ways."""

    def __init__(self, experts: int, width: int, out: int, *, std: float | None = None) -> None:
        super().__init__()
        self.std = width**-0.5 if std is None else std
        self.weight = nn.Parameter(torch.empty(experts, width, out))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Normal weights of deviation `std`, by default one over the root of the width."""
        nn.init.normal_(self.weight, std=self.std)

    def grouped(self, x: Float[Tensor, "row width"], ends: Int[Tensor, " expert"]) -> Tensor:
        """Rows sorted by expert; `ends[e]` is where expert e's end, int32 on the device of `x`."""
        return grouped_mm(x, self.weight, ends)

    def equal(self, x: Float[Tensor, "expert row width"], experts: slice) -> Tensor:
        """As many rows for each of a run of experts: one batched product."""
        return torch.bmm(x, self.weight[experts].to(x.dtype))

    def single(self, x: Float[Tensor, "row width"], expert: int) -> Tensor:
        """One expert alone."""
        return x @ self.weight[expert].to(x.dtype)


def grouped_mm(
    x: Float[Tensor, "row width"],
    weight: Float[Tensor, "expert width out"],
    ends: Int[Tensor, " expert"],
) -> Float[Tensor, "row out"]:
    """`F.grouped_mm` at any width, under autocast too, and with any gradient.

    The kernels want rows of a multiple of 16 bytes: other widths are padded with zeros. Equals
    `grouped_mm_slowly` in values and gradients.
    """
    kind = x.device.type
    if torch.is_autocast_enabled(kind):
        x, weight = (value.to(torch.get_autocast_dtype(kind)) for value in (x, weight))
    multiple, out = ALIGNED // x.element_size(), weight.shape[2]
    wide, deep = -weight.shape[1] % multiple, -out % multiple
    if wide or deep:
        x, weight = F.pad(x, (0, wide)), F.pad(weight, (0, deep, 0, wide))
    product = F.grouped_mm(x.contiguous(), weight, offs=ends)
    if product.requires_grad:
        # The backward kernels refuse an expanded gradient, such as a sum's.
        product.register_hook(Tensor.contiguous)
    return product[:, :out]


def grouped_mm_slowly(
    x: Float[Tensor, "row width"],
    weight: Float[Tensor, "expert width out"],
    ends: Int[Tensor, " expert"],
) -> Float[Tensor, "row out"]:
    """One product an expert; the reference of `grouped_mm`."""
    starts = [0, *ends.tolist()[:-1]]
    runs = zip(starts, ends.tolist(), weight, strict=True)
    return torch.cat([x[start:end] @ matrix for start, end, matrix in runs])


def _grouped_flops(a: Any, b: Any, *_: Any, **__: Any) -> int:
    """`2 rows width out`: every row meets one matrix, in the backward products too."""
    return 2 * a[-2] * a[-1] * b[-1]


# torch counts none; it refuses a second registration, which a reloaded package would make.
if torch.ops.aten._grouped_mm not in flop_registry:
    register_flop_formula(torch.ops.aten._grouped_mm)(_grouped_flops)

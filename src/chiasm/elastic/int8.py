"""Post-training static INT8 of a model's matrices, executed on integers.

A matrix W becomes rows of int8 with a scale each, w_q = round(W / s_w), s_w = max|row| / 127. What
it reads is rounded with one scale and zero of its own, from the least to the greatest value met on
calibration data: x_q = clamp(round(x / s_x) + z, -128, 127). The product runs on int8 and adds up
in int32,

    y = s_x s_w (x_q w_q^T - z sum of w_q) + b,

which is exactly the product of the rounded matrices (arXiv 1712.05877, section 2.3).
"""

from collections.abc import Iterable, Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from chiasm.errors import Misuse
from chiasm.model import Model
from chiasm.stream import Inputs

Range = tuple[float, float]
"""Least and greatest value that a matrix reads; 0 lies within."""


class Int8Matrix(Tensor):
    """A matrix that is stored as int8 and multiplied as such by `F.linear`."""

    rows: Tensor
    scales: Tensor
    step: float
    zero: int

    @staticmethod
    def __new__(cls, weight: Tensor, read: Range) -> "Int8Matrix":
        return torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls, weight.shape, dtype=weight.dtype, device=weight.device
        )

    def __init__(self, weight: Tensor, read: Range) -> None:
        low, high = read
        self.scales = weight.abs().amax(1).clamp_min(1e-12) / 127
        self.rows = (weight / self.scales.unsqueeze(1)).round().to(torch.int8)
        self.step = max(high - low, 1e-12) / 255
        self.zero = -128 - round(low / self.step)

    def linear(self, x: Tensor, bias: Tensor | None) -> Tensor:
        flat = x.flatten(0, -2)
        rounded = self.rounded(flat)
        # Public PyTorch has no product of two int8 matrices but this.
        product = torch._int_mm(rounded, self.rows.T)  # pyright: ignore[reportPrivateImportUsage]
        total = product - self.zero * self.rows.sum(1, dtype=torch.int32)
        made = total.to(x.dtype) * (self.step * self.scales)
        made = made if bias is None else made + bias
        return made.view(*x.shape[:-1], -1)

    def rounded(self, x: Tensor) -> Tensor:
        """What is read, as int8."""
        return ((x / self.step).round() + self.zero).clamp(-128, 127).to(torch.int8)

    def plain(self) -> Tensor:
        """The matrix that it stands for."""
        return self.rows * self.scales.unsqueeze(1)

    def __repr__(self, *, tensor_contents: object = None) -> str:
        return f"Int8Matrix({tuple(self.shape)})"

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        if func is F.linear:
            x, weight, *rest = (*args, *given.values())
            return weight.linear(x, rest[0] if rest else None)
        return super().__torch_function__(func, types, args, given)

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.ops.aten.detach.default:
            return args[0]
        raise TypeError(f"an int8 matrix is only multiplied, not used in {func}")


class _Watched(TorchFunctionMode):
    """Notes the range of what each matrix reads."""

    def __init__(self, names: Mapping[int, str]) -> None:
        super().__init__()
        self.names, self.ranges = names, dict[str, Range]()

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        given = kwargs or {}
        if func is F.linear:
            x, weight, *_ = (*args, *given.values())
            name = self.names.get(id(weight))
            if name is not None and x.numel():
                low, high = self.ranges.get(name, (0.0, 0.0))
                self.ranges[name] = (min(low, float(x.min())), max(high, float(x.max())))
        return func(*args, **given)


@torch.no_grad()
def calibrated(model: Model, names: Iterable[str], batches: Iterable[Inputs]) -> dict[str, Range]:
    """What each of the named matrices reads on the batches, from the least to the greatest."""
    by_id = {id(_matrix(model, name)): name for name in names}
    with _Watched(by_id) as watched:
        for inputs in batches:
            model(inputs)
    return watched.ranges


@torch.no_grad()
def quantise(model: Model, bits: Mapping[str, int], batches: Iterable[Inputs]) -> Model:
    """The model with its matrices of 8 bits replaced, in place; those of 32 stay as they are.

    A matrix that read nothing on the batches, such as that of a modality that they lack, reads its
    inputs within -1 and 1.

    Raises:
        Misuse: other bits than 8 and 32.
    """
    other = sorted(set(bits.values()) - {8, 32})
    if other:
        raise Misuse(f"matrices of {other[0]} bits are not made; choose 8 or 32")
    chosen = [name for name, width in bits.items() if width == 8]
    if not chosen:
        return model
    ranges = calibrated(model, chosen, batches)
    for name in chosen:
        module = cast(nn.Linear, model.get_submodule(name))
        matrix = Int8Matrix(module.weight.detach(), ranges.get(name, (-1.0, 1.0)))
        module.weight = nn.Parameter(matrix, requires_grad=False)
    return model


def weight_bytes(model: Model, bits: Mapping[str, int]) -> int:
    """sum of parameters x bits / 8: matrices as told, everything else 32.

    As in the paper, the scales of int8 rows are not counted.
    """
    every = sum(parameter.numel() for parameter in model.parameters())
    matrices = {name: _matrix(model, name).numel() for name in bits}
    spared = sum(matrices[name] * (32 - width) for name, width in bits.items())
    return (every * 32 - spared) // 8


def _matrix(model: Model, name: str) -> Tensor:
    return cast(nn.Linear, model.get_submodule(name)).weight

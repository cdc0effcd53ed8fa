"""Between which two values a channel is quantised."""

from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from chiasm.errors import Misuse


class Endpoints(Protocol):
    """The lowest and the highest code's value of each channel, over the rows that are valid.

    Where no row is valid, both are 0.
    """

    def ends(
        self, rows: Float[Tensor, "*at row channel"], valid: Bool[Tensor, "*at row 1"]
    ) -> tuple[Float[Tensor, "*at channel"], Float[Tensor, "*at channel"]]: ...


@dataclass(frozen=True)
class Scaled:
    """s min and s max (CalibQuant, arXiv 2502.14882): below 1, outliers are clipped."""

    scale: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.scale <= 1:
            raise Misuse(f"endpoints scaled by {self.scale:g}; the scale is in (0, 1]")

    def ends(self, rows: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        low = rows.masked_fill(~valid, float("inf")).amin(-2)
        high = rows.masked_fill(~valid, -torch.finfo(rows.dtype).max).amax(-2)
        some = valid.any(-2)
        return (low * self.scale).where(some, 0.0), (high * self.scale).where(some, 0.0)


@dataclass(frozen=True)
class Quantiles:
    """Quantiles of the channel's values, interpolated between neighbours."""

    low: float = 0.1
    high: float = 0.9

    def __post_init__(self) -> None:
        if not 0 <= self.low < self.high <= 1:
            raise Misuse(f"quantiles {self.low:g} and {self.high:g} must rise within 0 and 1")

    def ends(self, rows: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        ordered = rows.masked_fill(~valid, float("inf")).sort(-2).values
        last = (valid.sum(-2, keepdim=True) - 1).clamp(min=0)
        some = valid.any(-2)
        low, high = (
            _between(ordered, quantile * last).squeeze(-2).where(some, 0.0)
            for quantile in (self.low, self.high)
        )
        return low, high


def _between(ordered: Tensor, place: Tensor) -> Tensor:
    """The value at a place between two rows."""
    below = place.floor()
    index = below.long().expand(*ordered.shape[:-2], 1, ordered.shape[-1])
    first = ordered.gather(-2, index)
    # At a whole place the row above may be padding.
    beyond = (index + 1).clamp(max=ordered.shape[-2] - 1)
    second = ordered.gather(-2, beyond).where(place > below, first)
    return torch.lerp(first, second, (place - below).to(first).expand_as(first))

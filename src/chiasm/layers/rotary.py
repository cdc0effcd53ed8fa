"""Rotary positions in float32, on one axis or several."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import torch
from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True)
class RotaryTables:
    """Cosines and sines `[batch, token, head_width]` of one set of rows."""

    cos: Tensor
    sin: Tensor
    """Negated at the first of each pair, so that a turn is `x cos + swapped(x) sin`."""
    interleaved: bool = False
    """Pairs are neighbours instead of halves."""

    def cut(self, rows: slice) -> "RotaryTables":
        """A run of rows, as views."""
        return RotaryTables(self.cos[:, rows], self.sin[:, rows], self.interleaved)


class Rotary(nn.Module):
    """Rotary position embedding (Su et al. 2021, arXiv 2104.09864), half-split or interleaved.

    Frequency j turns by `position[axis(j)] * frequency_j`. With one axis all frequencies read it;
    with several, `sections` says how many frequencies each axis owns (M-RoPE, arXiv 2409.12191).
    """

    frequencies: Tensor

    def __init__(
        self,
        frequencies: Float[Tensor, " half"],
        *,
        scale: float = 1.0,
        sections: tuple[int, ...] = (),
        interleaved: bool = False,
    ) -> None:
        super().__init__()
        if sections and sum(sections) != frequencies.numel():
            raise ValueError(
                f"rotary sections {sections} sum to {sum(sections)}, "
                f"the head has {frequencies.numel()} frequencies"
            )
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.scale = scale
        self.sections = sections
        self.interleaved = interleaved

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Frequencies follow the model to a device but never to half precision."""
        exact = self.frequencies
        super()._apply(fn, recurse)
        if not exact.is_meta and self.frequencies.dtype != exact.dtype:
            self.frequencies = exact.to(self.frequencies.device)
        return self

    def forward(self, position: Float[Tensor, "batch token axis"]) -> RotaryTables:
        """Tables for float32 positions; the result is float32 whatever the model's type."""
        frequencies = self.frequencies
        if self.sections:
            counts = torch.tensor(self.sections, device=position.device)
            axis = torch.arange(len(self.sections), device=position.device)
            turned = position.float()[..., axis.repeat_interleave(counts)]
        else:
            turned = position.float()[..., :1]
        angles = turned * frequencies
        cos, sin = angles.cos() * self.scale, angles.sin() * self.scale
        if self.interleaved:
            pairs = torch.stack([-sin, sin], dim=-1).flatten(-2)
            return RotaryTables(cos.repeat_interleave(2, dim=-1), pairs, interleaved=True)
        return RotaryTables(torch.cat([cos, cos], dim=-1), torch.cat([-sin, sin], dim=-1))


def rotate(
    x: Float[Tensor, "batch head token head_width"], tables: RotaryTables
) -> Float[Tensor, "batch head token head_width"]:
    """Turn each row of `x` by its tables."""
    cos, sin = tables.cos.unsqueeze(1).to(x.dtype), tables.sin.unsqueeze(1).to(x.dtype)
    if tables.interleaved:
        swapped = x.unflatten(-1, (-1, 2)).flip(-1).flatten(-2)
    else:
        first, second = x.chunk(2, dim=-1)
        swapped = torch.cat([second, first], dim=-1)
    return x * cos + swapped * sin

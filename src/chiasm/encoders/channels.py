"""Several encoders of one picture, side by side: their features joined token by token."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from chiasm.spec import Size, Work
from chiasm.spec.answer import Encoder
from chiasm.stream import Features

Moments = tuple[tuple[float, float, float], tuple[float, float, float]]
"""Mean and deviation by which pixels are normalised."""


@dataclass(frozen=True, kw_only=True)
class ChannelConcat:
    """f = [f_1; f_2; …] at every token of one grid (Prismatic VLMs, arXiv 2402.07865, DINO-SigLIP).

    Pixels come normalised by `given`; each encoder sees them by its own of `moments`.
    """

    parts: tuple[Encoder, ...]
    given: Moments
    moments: tuple[Moments, ...]

    def __post_init__(self) -> None:
        if len(self.parts) != len(self.moments):
            raise ValueError(f"{len(self.moments)} moments given for {len(self.parts)} encoders")

    @property
    def width(self) -> int:
        return sum(part.width for part in self.parts)

    def grid(self, size: Size) -> tuple[int, int]:
        grids = {part.grid(size) for part in self.parts}
        if len(grids) != 1:
            raise ValueError(
                f"encoders side by side give grids {sorted(grids)} for {size[0]} x {size[1]} "
                "pixels; choose a size at which they agree"
            )
        return grids.pop()

    def build(self) -> nn.Module:
        return ChannelConcatEncoder(self)

    def work(self, size: Size) -> Sequence[Work]:
        return tuple(line for part in self.parts for line in part.work(size))


class ChannelConcatEncoder(nn.Module):
    """Images to features of all encoders, `[image, token, sum of widths]`."""

    scales: Tensor
    shifts: Tensor

    def __init__(self, config: ChannelConcat) -> None:
        super().__init__()
        built = [part.build() for part in config.parts]
        self.parts = nn.ModuleList(encoder for encoder in built if encoder is not None)
        mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in config.given)
        own = [[torch.tensor(v).view(3, 1, 1) for v in moments] for moments in config.moments]
        scales = torch.stack([deviation / s for _, s in own])
        shifts = torch.stack([(mean - m) / s for m, s in own])
        self.register_buffer("scales", scales, persistent=False)
        self.register_buffer("shifts", shifts, persistent=False)

    def each(
        self,
        images: Float[Tensor, "image 3 y x"],
        image_valid: Bool[Tensor, "image y x"] | None,
    ) -> list[Features]:
        """What every encoder makes of the picture, normalised its way."""
        return [
            cast(Features, part(images * scale + shift, image_valid))
            for part, scale, shift in zip(self.parts, self.scales, self.shifts, strict=True)
        ]

    def forward(
        self,
        images: Float[Tensor, "image 3 y x"],
        image_valid: Bool[Tensor, "image y x"] | None = None,
    ) -> Features:
        seen = self.each(images, image_valid)
        tokens = torch.cat([features.tokens for features in seen], dim=-1)
        masks = [features.valid for features in seen if features.valid is not None]
        valid = torch.stack(masks).all(0) if masks else None
        return Features(tokens, seen[0].grid, valid)

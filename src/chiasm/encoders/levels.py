"""Several layers of a vision transformer as one feature: a connector splits them again."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from chiasm.encoders.vit import VisionTransformer
from chiasm.spec import Size, Work
from chiasm.stream import Features


@dataclass(frozen=True, kw_only=True)
class Levels:
    """The states of `base` at `taps`, side by side along the width: 0 is what enters its first
    layer, i what leaves layer i; the last is its final output, normed.
    """

    base: VisionTransformer
    taps: tuple[int, ...]

    @property
    def width(self) -> int:
        return self.base.width * len(self.taps)

    def grid(self, size: Size) -> tuple[int, int]:
        return self.base.grid(size)

    def build(self) -> "LevelsEncoder":
        return LevelsEncoder(self)

    def work(self, size: Size) -> Sequence[Work]:
        return self.base.work(size)


class LevelsEncoder(nn.Module):
    """Images to `[image, token, taps * width]`."""

    def __init__(self, config: Levels) -> None:
        super().__init__()
        self.taps = config.taps
        self.base = config.base.build()

    def forward(
        self,
        images: Float[Tensor, "image 3 height width"],
        image_valid: Bool[Tensor, "image height width"] | None = None,
    ) -> Features:
        found = self.base(images, image_valid)
        taps = tuple(found.taps[tap] for tap in self.taps)
        return Features(torch.cat(taps, dim=-1), found.grid, found.valid, taps)

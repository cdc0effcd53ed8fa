"""An encoder at its own size of picture, its map stretched to a grid that others share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from chiasm.errors import Misuse
from chiasm.spec import Size, Work
from chiasm.spec.answer import Encoder
from chiasm.stream import Features


@dataclass(frozen=True, kw_only=True)
class Resampled:
    """Features of `each`, which sees the picture at `pixels` (None: as it comes), as a map of
    `cells` rows and columns, bilinear between the corners' centres (Eagle, arXiv 2408.15998).

    With `unshuffle` n, blocks of n x n tokens are first joined into one of n^2 times the width.
    """

    each: Encoder
    cells: tuple[int, int]
    pixels: Size | None = None
    unshuffle: int = 1

    @property
    def width(self) -> int:
        return self.each.width * self.unshuffle**2

    def grid(self, size: Size) -> tuple[int, int]:
        return self.cells

    def build(self) -> "ResampledEncoder":
        encoder = self.each.build()
        if encoder is None:
            raise ValueError("nothing to resample; name an encoder")
        return ResampledEncoder(self, encoder)

    def work(self, size: Size) -> Sequence[Work]:
        return self.each.work(size if self.pixels is None else self.pixels)


class ResampledEncoder(nn.Module):
    """Images to `[image, cells, width]`."""

    def __init__(self, config: Resampled, each: nn.Module) -> None:
        super().__init__()
        self.config, self.each = config, each

    def forward(
        self,
        images: Float[Tensor, "image 3 y x"],
        image_valid: Bool[Tensor, "image y x"] | None = None,
    ) -> Features:
        """The stretched map.

        Raises:
            Misuse: some pixels are padding, which stretching would mix into others.
        """
        if image_valid is not None and not bool(image_valid.all()):
            raise Misuse("a stretched map cannot leave out padding; give all views one size")
        config = self.config
        if config.pixels is not None and images.shape[-2:] != config.pixels:
            images = F.interpolate(images, config.pixels, mode="bilinear", antialias=True)
        seen = cast(Features, self.each(images, None))
        maps = seen.tokens.transpose(1, 2).unflatten(2, seen.grid)
        if config.unshuffle > 1:
            maps = F.pixel_unshuffle(maps, config.unshuffle)
        if maps.shape[-2:] != config.cells:
            maps = F.interpolate(maps, config.cells, mode="bilinear", align_corners=True)
        return Features(maps.flatten(2).transpose(1, 2), config.cells)

"""An image as the bytes of its pixels: no feature is computed at all."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from chiasm.spec import Size, Work
from chiasm.stream import Features


@dataclass(frozen=True, kw_only=True)
class ImageBytes:
    """Every pixel's red, green and blue in reading order, each the id of one byte.

    Pixels come as values from 0 to 255 (`Pixels` of mean 0 and deviation 1 / 255); a value is
    rounded down to one of `levels` and counted from id `first`, behind the special tokens.
    """

    levels: int = 256
    first: int = 6

    @property
    def width(self) -> int:
        """A token is one number: its id."""
        return 1

    @property
    def codes(self) -> int:
        """Ids are below this."""
        return self.first + self.levels

    def grid(self, size: Size) -> tuple[int, int]:
        return size[0], 3 * size[1]

    def build(self) -> "ImageBytesEncoder":
        return ImageBytesEncoder(self)

    def work(self, size: Size) -> Sequence[Work]:
        return ()


class ImageBytesEncoder(nn.Module):
    """Images `[image, 3, height, width]` to ids `[image, height * width * 3, 1]`."""

    def __init__(self, config: ImageBytes) -> None:
        super().__init__()
        self.config = config

    def forward(
        self,
        images: Float[Tensor, "image 3 height width"],
        image_valid: Bool[Tensor, "image height width"] | None = None,
    ) -> Features:
        """Float32 whatever the model's type, so that every id is exact."""
        values = images.float().round().clamp(0, 255)
        ids = torch.floor(values * self.config.levels / 256) + self.config.first
        tokens = ids.permute(0, 2, 3, 1).flatten(1).unsqueeze(-1)
        valid = None
        if image_valid is not None:
            valid = image_valid.repeat_interleave(3, dim=2).flatten(1)
        return Features(tokens, (images.shape[2], 3 * images.shape[3]), valid)

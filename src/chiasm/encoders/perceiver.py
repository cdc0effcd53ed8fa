"""Perceiver over raw pixels: every pixel is an element, its place told by Fourier features."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from chiasm.encoders.fourier import fourier_features, fourier_width
from chiasm.encoders.latent_stack import LatentStack
from chiasm.spec import Size, Work
from chiasm.stream import Features


@dataclass(frozen=True, kw_only=True)
class Perceiver:
    """Pixels of an image as a byte array that latents read (arXiv 2103.03206).

    An element is a pixel's three values and the Fourier features of its place: of a 224 x 224 image
    with 64 bands, 50,176 elements of 3 + 2 (2 x 64 + 1) = 261. The tokens are the latents, whatever
    the size of the image.
    """

    stack: LatentStack
    bands: int = 64
    resolution: tuple[int, int] = (224, 224)
    """Size whose Nyquist frequencies are the highest bands."""

    @property
    def width(self) -> int:
        return self.stack.width

    @property
    def element_width(self) -> int:
        """Width of one element of the byte array."""
        return 3 + fourier_width(self.bands, 2)

    def grid(self, size: Size) -> tuple[int, int]:
        """Latents stand on no grid: one row of them."""
        return 1, self.stack.latents

    def build(self) -> "PerceiverEncoder":
        return PerceiverEncoder(self)

    def work(self, size: Size) -> Sequence[Work]:
        return self.stack.work(size[0] * size[1], self.element_width)


class PerceiverEncoder(nn.Module):
    """Images `[image, 3, height, width]` to features `[image, latent, width]`."""

    def __init__(self, config: Perceiver) -> None:
        super().__init__()
        self.config = config
        self.stack = config.stack.build(config.element_width)

    def forward(
        self,
        images: Float[Tensor, "image 3 height width"],
        image_valid: Bool[Tensor, "image height width"] | None = None,
    ) -> Features:
        """The latents; a padded image is read as if it came alone."""
        valid = None if image_valid is None else image_valid.flatten(1)
        latents = self.stack(byte_array(images, self.config, image_valid), valid)
        return Features(latents, (1, latents.shape[1]))


def byte_array(
    images: Float[Tensor, "image 3 height width"],
    config: Perceiver,
    image_valid: Bool[Tensor, "image height width"] | None = None,
) -> Float[Tensor, "image element feature"]:
    """Pixels in reading order, each with the features of its place in its own, unpadded image."""
    height, width = images.shape[-2:]

    def places(rows: int, columns: int) -> Float[Tensor, "row column feature"]:
        features = fourier_features(
            (rows, columns), config.bands, config.resolution, device=images.device
        )
        # Angles are float32 before they become the model's type: half precision cannot hold them.
        return features.unflatten(0, (rows, columns)).to(images.dtype)

    if image_valid is None:
        where = places(height, width).expand(len(images), -1, -1, -1)
    else:
        heights, widths = image_valid.any(2).sum(1).tolist(), image_valid.any(1).sum(1).tolist()
        where = torch.stack(
            [
                nn.functional.pad(
                    places(rows, columns), (0, 0, 0, width - columns, 0, height - rows)
                )
                for rows, columns in zip(heights, widths, strict=True)
            ]
        )
    return torch.cat([images.flatten(2).transpose(1, 2), where.flatten(1, 2)], dim=-1)

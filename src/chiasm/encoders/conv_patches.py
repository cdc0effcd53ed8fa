"""A convolution makes patches of an image, and nothing else stands before the trunk."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from chiasm.spec import Size, Work
from chiasm.spec.work import linear
from chiasm.stream import Features


@dataclass(frozen=True, kw_only=True)
class ConvPatches:
    """gelu(conv(image)) of every p x p pixels, m x m neighbours side by side in one token.

    A linear connector makes of it a second convolution of side and stride m (EVEv2, arXiv
    2502.06788). A part of a token counts as one, padded with zeros.
    """

    patch: int
    """p: side and stride of the convolution."""
    merge: int
    """m: neighbours that one token holds, along either side."""
    hidden: int
    """Channels of a patch."""

    @property
    def width(self) -> int:
        return self.merge**2 * self.hidden

    @property
    def side(self) -> int:
        """Pixels of a token's side."""
        return self.patch * self.merge

    def grid(self, size: Size) -> tuple[int, int]:
        return -(-size[0] // self.side), -(-size[1] // self.side)

    def build(self) -> "ConvPatchesEncoder":
        return ConvPatchesEncoder(self)

    def work(self, size: Size) -> Sequence[Work]:
        rows, columns = self.grid(size)
        patches = rows * columns * self.merge**2
        return (linear("encoder", "patches", patches, 3 * self.patch**2, self.hidden),)


class ConvPatchesEncoder(nn.Module):
    """Images `[image, 3, height, width]` to features `[image, rows * columns, m * m * hidden]`."""

    def __init__(self, config: ConvPatches) -> None:
        super().__init__()
        self.config = config
        self.patches = nn.Conv2d(3, config.hidden, config.patch, stride=config.patch)

    def forward(
        self,
        images: Float[Tensor, "image 3 height width"],
        image_valid: Bool[Tensor, "image height width"] | None = None,
    ) -> Features:
        """A token is valid where any of its pixels is the image's; the others read as zeros."""
        side = self.config.side
        missing = (0, -images.shape[3] % side, 0, -images.shape[2] % side)
        images, valid = F.pad(images, missing), None
        if image_valid is not None:
            shown = F.pad(image_valid, missing)
            valid = shown.unfold(1, side, side).unfold(2, side, side).flatten(3).any(-1).flatten(1)
            images = images * shown.unsqueeze(1)
        merge = self.config.merge
        cells = F.gelu(self.patches(images)).unfold(2, merge, merge).unfold(3, merge, merge)
        tokens = cells.permute(0, 2, 3, 1, 4, 5).flatten(3)
        return Features(tokens.flatten(1, 2), (tokens.shape[1], tokens.shape[2]), valid)

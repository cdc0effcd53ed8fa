"""Patches with nothing on them are left out before an encoder sees them (PEAP-Fast)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from chiasm.encoders.rotary_vit import RotaryViT
from chiasm.spec import Size, Work
from chiasm.stream import Features


@dataclass(frozen=True, kw_only=True)
class WrittenPatches:
    """Features of the patches whose pixels' variance is at least `threshold`, in units of
    normalised pixels; `each` sees no other, and the places of those that it sees are what they
    were (PixelWorld, arXiv 2501.19339).

    How many are left nobody knows before the pixels: geometry and bills are of a full page. Rows
    of the sequence that stand for the others are left out as well; those that stay are numbered as
    on a full page.
    """

    leaves_out: ClassVar[bool] = True
    """Tokens that geometry counts may be missing."""

    each: RotaryViT
    threshold: float

    @property
    def width(self) -> int:
        return self.each.width

    def grid(self, size: Size) -> tuple[int, int]:
        return self.each.grid(size)

    def build(self) -> "WrittenPatchesEncoder":
        return WrittenPatchesEncoder(self)

    def work(self, size: Size) -> Sequence[Work]:
        return self.each.work(size)


class WrittenPatchesEncoder(nn.Module):
    """Images to `[image, rows * columns, width]`, what is left out invalid."""

    def __init__(self, config: WrittenPatches) -> None:
        super().__init__()
        self.config, self.each = config, config.each.build()

    def forward(
        self,
        images: Float[Tensor, "image 3 height width"],
        image_valid: Bool[Tensor, "image height width"] | None = None,
    ) -> Features:
        side = self.config.each.patch
        rows, columns = self.config.grid((images.shape[-2], images.shape[-1]))
        stays = written_patches(images, side, self.config.threshold).unflatten(1, (rows, columns))
        held = stays.repeat_interleave(side, 1).repeat_interleave(side, 2)
        seen = torch.zeros_like(images[:, 0], dtype=torch.bool)
        seen[:, : held.shape[1], : held.shape[2]] = held
        if image_valid is not None:
            seen = seen & image_valid
        if bool(stays.all()):
            return cast(Features, self.each(images, image_valid))
        planned = torch.ones_like(stays.flatten(1))
        if image_valid is not None:
            planned = self.each.tokens_within(image_valid)
        return replace(cast(Features, self.each(images, seen)), planned=planned)


def written_patches(
    images: Float[Tensor, "image channel height width"], patch: int, threshold: float
) -> Bool[Tensor, "image row_column"]:
    """Which whole patches stay, in reading order: those whose pixels' variance, over channels too,
    is at least `threshold` (PixelWorld, arXiv 2501.19339). The others keep their place free: the
    positions of those that stay are what they were.

    A threshold below 0 keeps all; an image with nothing on it keeps its first patch.
    """
    cells = images.unfold(2, patch, patch).unfold(3, patch, patch)
    cells = cells.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)
    stays = cells.float().var(-1, correction=0) >= threshold
    blank = ~stays.any(1)
    first = torch.zeros_like(stays)
    first[:, 0] = True
    return stays | (first & blank.unsqueeze(1))


def kept_ratio(stays: Bool[Tensor, "image patch"]) -> float:
    """Share of the patches that stay."""
    return float(stays.float().mean())

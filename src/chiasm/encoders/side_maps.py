"""Several encoders of one picture, each map on a grid of its own, for connectors that read them."""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from chiasm.encoders.channels import ChannelConcat, ChannelConcatEncoder
from chiasm.errors import Misuse
from chiasm.spec import Size
from chiasm.stream import Features


@dataclass(frozen=True, kw_only=True)
class SideMaps(ChannelConcat):
    """Maps f_1, f_2, …, every grid a whole multiple of the first one's (Cambrian-1, arXiv
    2406.16860).

    Taps are the maps. Tokens are, at each place of the first grid, the means of every map's window
    there, side by side.
    """

    gives_maps: ClassVar[bool] = True
    """Taps are maps of their own grids."""

    def grid(self, size: Size) -> tuple[int, int]:
        """The first one's.

        Raises:
            Misuse: another is no multiple of it.
        """
        (rows, columns), *others = (part.grid(size) for part in self.parts)
        for other in others:
            if other[0] % rows or other[1] % columns or other[0] * columns != other[1] * rows:
                raise Misuse(
                    f"a map of {other[0]} x {other[1]} has no square windows on a grid of "
                    f"{rows} x {columns}; give it a multiple"
                )
        return rows, columns

    def build(self) -> nn.Module:
        return SideMapsEncoder(self)


class SideMapsEncoder(ChannelConcatEncoder):
    """Images to `[image, token, sum of widths]` and a tap `[image, k^2 * token, width]` a map."""

    def forward(
        self,
        images: Float[Tensor, "image 3 y x"],
        image_valid: Bool[Tensor, "image y x"] | None = None,
    ) -> Features:
        seen = self.each(images, image_valid)
        rows, columns = seen[0].grid
        means = [
            torch.nn.functional.avg_pool2d(
                features.tokens.transpose(1, 2).unflatten(2, features.grid),
                features.grid[0] // rows,
            )
            for features in seen
        ]
        tokens = torch.cat(means, dim=1).flatten(2).transpose(1, 2)
        taps = tuple(features.tokens for features in seen)
        return replace(seen[0], tokens=tokens, grid=(rows, columns), taps=taps)

"""The latent of a picture as rows: patches of an autoencoder's cells, or of the pixels."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Latent:
    """A picture of `height x width` pixels as patches of `patch x patch` cells.

    A cell holds `channels` numbers of `stride x stride` pixels: 3 and 1 are the pixels themselves,
    which need no autoencoder; 16 and 8 are the sizes of FLUX's.
    """

    height: int
    width: int
    patch: int
    stride: int = 1
    channels: int = 3

    def __post_init__(self) -> None:
        side = self.patch * self.stride
        if self.height % side or self.width % side:
            raise ValueError(
                f"a picture of {self.height} x {self.width} pixels is not made of patches of "
                f"{side} x {side}"
            )

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of patches."""
        side = self.patch * self.stride
        return self.height // side, self.width // side

    @property
    def rows(self) -> int:
        """Rows of the sequence that one picture occupies."""
        return self.grid[0] * self.grid[1]

    @property
    def row_width(self) -> int:
        """Numbers in one patch."""
        return self.patch**2 * self.channels

    def to_rows(
        self, cells: Float[Tensor, "picture channel y x"]
    ) -> Float[Tensor, "picture row patch"]:
        """Patches from left to right, top to bottom; a patch is (channel, y, x) in this order."""
        patches = cells.unfold(2, self.patch, self.patch).unfold(3, self.patch, self.patch)
        return patches.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)

    def to_cells(
        self, rows: Float[Tensor, "picture row patch"]
    ) -> Float[Tensor, "picture channel y x"]:
        """The inverse of `to_rows`."""
        down, across = self.grid
        patches = rows.unflatten(2, (self.channels, self.patch, self.patch))
        patches = patches.unflatten(1, (down, across)).permute(0, 3, 1, 4, 2, 5)
        return patches.flatten(4, 5).flatten(2, 3)

"""Orders in which a scan walks a (t, y, x) grid."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

Grid = tuple[int, int, int]
"""Frames, rows and columns."""


@dataclass(frozen=True)
class ScanOrder:
    """Walks the grid with the axes of `axes` from slowest to fastest; `reverse` walks it back.

    (0, 1, 2) is the raster: frame after frame, row after row. (1, 2, 0) follows each place through
    time.
    """

    axes: tuple[int, int, int] = (0, 1, 2)
    reverse: bool = False

    def __post_init__(self) -> None:
        if sorted(self.axes) != [0, 1, 2]:
            raise ValueError(f"a scan order names each of the axes 0, 1, 2 once, not {self.axes}")

    def index(self, grid: Grid, device: torch.device | None = None) -> Int[Tensor, " token"]:
        """The raster index of the token that is walked at each step."""
        cells = torch.arange(grid[0] * grid[1] * grid[2], device=device).view(grid)
        walked = cells.permute(self.axes).flatten()
        return walked.flip(0) if self.reverse else walked

    def scan(
        self, tokens: Float[Tensor, "sequence token width"], grid: Grid
    ) -> Float[Tensor, "sequence token width"]:
        """Raster tokens in the order of this walk."""
        _check(tokens, grid)
        return tokens[:, self.index(grid, tokens.device)]

    def unscan(
        self, tokens: Float[Tensor, "sequence token width"], grid: Grid
    ) -> Float[Tensor, "sequence token width"]:
        """Tokens of this walk in raster order: the inverse of `scan`."""
        _check(tokens, grid)
        return tokens[:, self.index(grid, tokens.device).argsort()]


RASTER = ScanOrder()
BIDIRECTIONAL = (RASTER, ScanOrder(reverse=True))
"""Vision Mamba (arXiv 2401.09417)."""
CROSS = (RASTER, ScanOrder((0, 2, 1)), ScanOrder(reverse=True), ScanOrder((0, 2, 1), reverse=True))
"""Rows, columns and both back (VMamba's SS2D, arXiv 2401.10166)."""
TRI_ORIENTED = (RASTER, ScanOrder(reverse=True), ScanOrder((1, 2, 0)))
"""Forward, back and between slices (SegMamba, arXiv 2401.13560)."""


def _check(tokens: Tensor, grid: Grid) -> None:
    cells = grid[0] * grid[1] * grid[2]
    if tokens.shape[1] != cells:
        raise ValueError(f"{tokens.shape[1]} tokens do not fill a grid of {grid}: {cells} places")

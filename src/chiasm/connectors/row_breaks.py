"""Learned vectors that end the lines of an image's tokens, and one that ends the image."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from chiasm.connectors.tiled_patches import own_grids
from chiasm.errors import Misuse
from chiasm.spec import Connector, Work
from chiasm.stream import Asked, Connects, Features, Tokens


@dataclass(frozen=True, kw_only=True)
class RowBreaks:
    """h (w + 1) tokens: those of `each` on a grid of h x w, a break after every line but the last,
    which an end follows: [IMG_BREAK] and [IMG_END] of Pixtral (arXiv 2410.07073), whose embeddings
    they are.
    """

    each: Connector
    initial_std: float = 0.02
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return self.each.conditioned

    def count(self, grid: tuple[int, int]) -> int:
        if self.each.count(grid) != grid[0] * grid[1]:
            raise Misuse(
                f"{self.each.count(grid)} tokens of a grid of {grid[0]} x {grid[1]} have no lines "
                "to break; use a connector that keeps the grid"
            )
        return grid[0] * (grid[1] + 1)

    def width(self, width: int, host_width: int) -> int:
        return self.each.width(width, host_width)

    def build(self, width: int, host_width: int) -> "BrokenRows":
        inner = cast(nn.Module, self.each.build(width, host_width))
        return BrokenRows(inner, self.width(width, host_width), self.initial_std)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        return self.each.work(grid, width, host_width)


class BrokenRows(nn.Module):
    """`[image, h * w, width]` to `[image, h * (w + 1), out]`; a smaller image's own last line has
    the end.
    """

    def __init__(self, each: nn.Module, out: int, std: float) -> None:
        super().__init__()
        self.each = each
        self.line, self.end = (nn.Parameter(torch.randn(out) * std) for _ in range(2))

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        inner = cast("Connects", self.each).connect(features, asked)
        rows, columns = features.grid
        cells = inner.embeddings.unflatten(1, (rows, columns))
        tokens = torch.cat([cells, self._ends(features).unsqueeze(2).to(cells.dtype)], 2)
        valid = features.valid
        if valid is not None:
            held = valid.unflatten(1, (rows, columns))
            valid = torch.cat([held, held.any(2, keepdim=True)], 2).flatten(1)
        return Tokens(tokens.flatten(1, 2), valid)

    def _ends(self, features: Features) -> Tensor:
        """What ends each line of each image, `[image, row, out]`."""
        heights = [rows for rows, _ in own_grids(features)]
        last = torch.tensor(heights, device=self.end.device).unsqueeze(1) - 1
        lines = torch.arange(features.grid[0], device=self.end.device)
        return torch.where((lines == last).unsqueeze(-1), self.end, self.line)

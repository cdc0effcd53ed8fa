"""Raw patches of a map of tiles: a place within the tile for each, a vector after every row."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.spec import Work
from chiasm.spec.work import linear
from chiasm.stream import Asked, Features, Tokens

Grid = tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class TiledPatches:
    """W patch + place, without a bias, on the merged map of an image's tiles (HaploVL, arXiv
    2503.14694): `r (c + 1)` tokens of a map of r x c patches, with a learned vector after each row.

    Places are those of one tile of `tile` x `tile` patches, again in every tile; the image lies in
    the middle of its tiles. A map of more than `most` patches is shrunk (bilinear), aspect kept.
    """

    tile: int
    most: int
    initial_std: float = 0.02
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return False

    def shrunk(self, grid: Grid) -> Grid:
        """The map that is left: the largest of this aspect within `most`, one patch at least."""
        rows, columns = grid
        if rows * columns <= self.most:
            return grid
        lines = min(self.most, max(1, isqrt(self.most * rows // columns)))
        return lines, min(self.most // lines, max(1, isqrt(self.most * columns // rows)))

    def count(self, grid: Grid) -> int:
        rows, columns = self.shrunk(grid)
        return rows * (columns + 1)

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> "TiledRows":
        return TiledRows(self, width, host_width)

    def work(self, grid: Grid, width: int, host_width: int) -> Sequence[Work]:
        return (linear("connector", "patches", grid[0] * grid[1], width, host_width),)


class TiledRows(nn.Module):
    """`[image, patch, width]` to `[image, r (c + 1), host width]`, padded at the end."""

    def __init__(self, config: TiledPatches, width: int, out: int) -> None:
        super().__init__()
        self.config = config
        self.projection = nn.Linear(width, out, bias=False)
        self.places = nn.Parameter(torch.randn(config.tile, config.tile, out) * config.initial_std)
        self.newline = nn.Parameter(torch.randn(out) * config.initial_std)

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        maps = self.projection(features.tokens).unflatten(1, features.grid)
        return laid_out(
            [
                self._row_ends(shrink(one[: grid[0], : grid[1]] + self._places(grid), self.config))
                for one, grid in zip(maps, own_grids(features), strict=True)
            ]
        )

    def _places(self, grid: Grid) -> Float[Tensor, "row column width"]:
        """A place for every patch of an image that lies in the middle of its tiles."""
        tile, device = self.config.tile, self.places.device
        rows, columns = (
            (torch.arange(edge, device=device) + -edge % tile // 2) % tile for edge in grid
        )
        return self.places[rows][:, columns]

    def _row_ends(self, cells: Float[Tensor, "row column width"]) -> Float[Tensor, "token width"]:
        ends = self.newline.to(cells.dtype).expand(len(cells), 1, -1)
        return torch.cat([cells, ends], 1).flatten(0, 1)


def own_grids(features: Features) -> list[Grid]:
    """Rows and columns of each image, without the padding to the batch's largest."""
    if features.valid is None:
        return [features.grid] * len(features.tokens)
    cells = features.valid.unflatten(1, features.grid)
    rows, columns = cells.any(2).sum(1).tolist(), cells.any(1).sum(1).tolist()
    return list(zip(rows, columns, strict=True))


def shrink(
    cells: Float[Tensor, "row column width"], config: TiledPatches
) -> Float[Tensor, "lines places width"]:
    """The map itself where it is small enough."""
    grid = (cells.shape[0], cells.shape[1])
    left = config.shrunk(grid)
    if left == grid:
        return cells
    return F.interpolate(cells.permute(2, 0, 1)[None], left, mode="bilinear")[0].permute(1, 2, 0)


def laid_out(images: Sequence[Float[Tensor, "token width"]]) -> Tokens:
    """Images of other lengths in one tensor; a mask where any is padded."""
    counts = [len(tokens) for tokens in images]
    longest = max(counts)
    padded = torch.stack([F.pad(t, (0, 0, 0, longest - len(t))) for t in images])
    if min(counts) == longest:
        return Tokens(padded)
    held = torch.tensor(counts, device=padded.device).unsqueeze(1)
    return Tokens(padded, torch.arange(longest, device=padded.device) < held)

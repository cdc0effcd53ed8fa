"""Regions of an image with their boxes, and the whole image in front of them (ViLBERT)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from chiasm.spec import Work
from chiasm.spec.work import linear
from chiasm.stream import Asked, Features, Tokens


@dataclass(frozen=True)
class Regions:
    """LN(W feature + V box) of every region; first the mean feature with the box of everything.

    A box is (left, top, right, bottom, area), as fractions of the image (arXiv 1908.02265, section
    3.1). Where features stand on a grid, its cells are the regions.
    """

    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        return grid[0] * grid[1] + 1

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> "RegionTokens":
        return RegionTokens(width, host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        regions = self.count(grid)
        return (
            linear("connector", "features", regions, width, host_width),
            linear("connector", "boxes", regions, 5, host_width),
        )


class RegionTokens(nn.Module):
    """`[image, region, width]` to `[image, 1 + region, host width]`."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.features = nn.Linear(width, out)
        self.boxes = nn.Linear(5, out)
        self.norm = nn.LayerNorm(out)

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        """The cells of each image's own grid, as if it came alone."""
        return self.regions(
            features.tokens, grid_boxes(features).to(features.tokens), features.valid
        )

    def regions(
        self,
        features: Float[Tensor, "image region width"],
        boxes: Float[Tensor, "image region 5"],
        valid: Bool[Tensor, "image region"] | None = None,
    ) -> Tokens:
        """Tokens of regions and boxes given one by one, in any order."""
        weight = torch.ones_like(boxes[..., :1]) if valid is None else valid.unsqueeze(-1)
        mean = (features * weight).sum(1, keepdim=True) / weight.sum(1, keepdim=True)
        whole = boxes.new_tensor([0.0, 0.0, 1.0, 1.0, 1.0]).expand(len(boxes), 1, 5)
        tokens = self.features(torch.cat([mean, features], dim=1))
        tokens = self.norm(tokens + self.boxes(torch.cat([whole, boxes], dim=1)))
        if valid is None:
            return Tokens(tokens)
        return Tokens(tokens, torch.cat([valid.new_ones(len(valid), 1), valid], dim=1))


def grid_boxes(features: Features) -> Float[Tensor, "image cell 5"]:
    """Boxes of the cells of each image's own grid, zeros for cells that only pad it."""
    grid, valid = features.grid, features.valid
    if valid is None:
        return cells(grid).flatten(0, 1).expand(len(features.tokens), -1, -1)
    held = valid.unflatten(1, grid)
    own = zip(held[:, :, 0].sum(1).tolist(), held[:, 0].sum(1).tolist(), strict=True)
    boxes = [F.pad(cells(size), (0, 0, 0, grid[1] - size[1], 0, grid[0] - size[0])) for size in own]
    return torch.stack(boxes).flatten(1, 2)


def cells(grid: tuple[int, int]) -> Float[Tensor, "row column 5"]:
    """Boxes of a grid's cells."""
    rows, columns = grid
    top, left = torch.meshgrid(
        torch.arange(rows) / rows, torch.arange(columns) / columns, indexing="ij"
    )
    area = torch.full_like(left, 1 / (rows * columns))
    return torch.stack([left, top, left + 1 / columns, top + 1 / rows, area], dim=-1)

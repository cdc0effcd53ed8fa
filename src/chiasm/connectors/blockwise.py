"""Any connector on blocks of neighbouring tokens: fewer, wider tokens before it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from torch import nn

from chiasm.connectors.shuffle import block_grid, space_to_depth
from chiasm.spec import Connector, Work
from chiasm.stream import Asked, Connects, Features, Tokens


@dataclass(frozen=True, kw_only=True)
class Blockwise:
    """`each` of every block of `factor x factor` tokens as one token, as InternVL's projector, a
    normed MLP, reads 2 x 2 (arXiv 2404.16821).
    """

    each: Connector
    factor: int
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return self.each.conditioned

    def count(self, grid: tuple[int, int]) -> int:
        return self.each.count(block_grid(grid, self.factor))

    def width(self, width: int, host_width: int) -> int:
        return self.each.width(width * self.factor**2, host_width)

    def build(self, width: int, host_width: int) -> nn.Module:
        inner = self.each.build(width * self.factor**2, host_width)
        return ConnectedBlocks(cast(nn.Module, inner), self.factor)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        wide = width * self.factor**2
        return self.each.work(block_grid(grid, self.factor), wide, host_width)


class ConnectedBlocks(nn.Module):
    """Features on a grid to features on the grid of blocks, `factor^2` times as wide, to tokens."""

    def __init__(self, each: nn.Module, factor: int) -> None:
        super().__init__()
        self.each, self.factor = each, factor

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        wide = space_to_depth(features.tokens, features.grid, self.factor)
        grid = block_grid(features.grid, self.factor)
        return cast("Connects", self.each).connect(Features(wide, grid), asked)

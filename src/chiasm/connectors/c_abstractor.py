"""Convolutions before and after means over shares of the grid: any number of tokens, in place."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import nn
from torch.nn import functional as F

from chiasm.connectors.convolutions import (
    ChannelNorm,
    Maps,
    SqueezeExcite,
    depthwise,
    depthwise_work,
    over_grids,
    pointwise,
    squeeze_work,
)
from chiasm.spec import Work
from chiasm.spec.work import linear
from chiasm.stream import Asked, Features, Tokens


@dataclass(frozen=True, kw_only=True)
class CAbstractor:
    """C-Abstractor (Honeybee, arXiv 2312.06742; MM1, arXiv 2403.09611): `depth` residual blocks at
    `hidden` channels, means over `side x side` shares, `depth` blocks more, W2 silu(W1 x).

    A block is silu(x + LN(P2 se(silu(LN(D silu(LN(P1 x)))))): P are 1 x 1, D is depthwise 3 x 3, se
    weighs channels (relu, sigmoid, a quarter of them); the first passes x through a 1 x 1 of its
    own. Without blocks (`depth` 0) it is average pooling and a projection.
    """

    side: int
    hidden: int
    depth: int = 3
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        return self.side**2

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> nn.Module:
        return Abstractor(self, width, host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        bill, channels, hidden = list[Work](), width, self.hidden
        for tokens in (prod(grid), self.count(grid)):
            for _ in range(self.depth):
                skip = channels if channels != hidden else 0
                bill += [
                    linear("connector", "pointwise", tokens, channels + skip + hidden, hidden),
                    depthwise_work("depthwise", tokens, hidden),
                    squeeze_work(hidden, _squeezed(channels)),
                ]
                channels = hidden
        tokens = self.count(grid)
        return (
            *bill,
            linear("connector", "projection 1", tokens, channels, host_width),
            linear("connector", "projection 2", tokens, host_width, host_width),
        )


def _squeezed(channels: int) -> int:
    return max(1, round(channels / 4))


class _Block(nn.Module):
    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.pointwise1, self.norm1 = pointwise(channels, hidden), ChannelNorm(hidden)
        self.depthwise, self.norm2 = depthwise(hidden, bias=False), ChannelNorm(hidden)
        self.weigh = SqueezeExcite(hidden, _squeezed(channels), F.relu, torch.sigmoid)
        self.pointwise2, self.norm3 = pointwise(hidden, hidden), ChannelNorm(hidden)
        alike = channels == hidden
        self.skip = (
            None if alike else nn.Sequential(pointwise(channels, hidden), ChannelNorm(hidden))
        )

    def forward(self, maps: Maps) -> Maps:
        inner = F.silu(self.norm1(self.pointwise1(maps)))
        inner = self.weigh(F.silu(self.norm2(self.depthwise(inner))))
        inner = self.norm3(self.pointwise2(inner))
        return F.silu(inner + (maps if self.skip is None else self.skip(maps)))


class Abstractor(nn.Module):
    """`[image, token, width]` to `[image, side^2, host width]`."""

    def __init__(self, config: CAbstractor, width: int, host_width: int) -> None:
        super().__init__()
        self.side, hidden = config.side, config.hidden
        first = [width, *[hidden] * config.depth] if config.depth else [width]
        self.before = nn.Sequential(*(_Block(c, hidden) for c in first[: config.depth]))
        self.after = nn.Sequential(*(_Block(hidden, hidden) for _ in range(config.depth)))
        self.readout = nn.Sequential(
            nn.Linear(first[-1], host_width), nn.SiLU(), nn.Linear(host_width, host_width)
        )

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        tokens = over_grids(features, self._shares)
        return Tokens(self.readout(tokens.embeddings), tokens.valid, tokens.grid)

    def _shares(self, maps: Maps) -> Maps:
        return self.after(F.adaptive_avg_pool2d(self.before(maps), self.side))

"""MobileVLM's projectors: an MLP, then convolutions that leave a quarter of the tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

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
from chiasm.connectors.mlp import MLP
from chiasm.spec import Work
from chiasm.spec.work import linear
from chiasm.stream import Asked, Features, Tokens


@dataclass(frozen=True)
class LDP:
    """Lightweight downsample projector (MobileVLM, arXiv 2312.16886): m = W2 gelu(W1 x) on its
    grid, m' = m + f(m), then f of stride 2 without a skip.

    f(m) = LN(P se(hswish(LN(D m)))): D is a depthwise 3 x 3 convolution, se weighs channels
    (relu, hard sigmoid, a quarter of the width), P is 1 x 1. An odd line or column counts as a
    pair.
    """

    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        return prod(halved(grid))

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> nn.Module:
        return LightProjector(width, host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        bill = list(MLP().work(grid, width, host_width))
        for tokens in (prod(grid), self.count(grid)):
            bill += [
                depthwise_work("depthwise", tokens, host_width),
                squeeze_work(host_width, squeezed(host_width)),
                linear("connector", "pointwise", tokens, host_width, host_width),
            ]
        return bill


@dataclass(frozen=True, kw_only=True)
class PooledLDP:
    """MobileVLM V2's (arXiv 2402.03766): an MLP, means over `side x side` shares p, then p + D p
    with D depthwise, 3 x 3.
    """

    side: int
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        return self.side**2

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> nn.Module:
        return PooledProjector(self.side, width, host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        tokens = self.count(grid)
        return (
            *MLP().work(grid, width, host_width),
            depthwise_work("depthwise", tokens, host_width),
        )


def halved(grid: tuple[int, int]) -> tuple[int, int]:
    """Lines and columns behind a convolution of stride 2."""
    return -(-grid[0] // 2), -(-grid[1] // 2)


def squeezed(width: int) -> int:
    """Units between the matrices that weigh channels: about a quarter, a multiple of 8."""
    hidden = max(8, (width // 4 + 4) // 8 * 8)
    return hidden + 8 if hidden < 0.9 * width / 4 else hidden


class _Block(nn.Module):
    """LN(P se(hswish(LN(D m))))."""

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        self.depthwise = depthwise(width, stride, bias=False)
        self.norm1 = ChannelNorm(width)
        self.weigh = SqueezeExcite(width, squeezed(width), F.relu, F.hardsigmoid)
        self.pointwise = pointwise(width, width)
        self.norm2 = ChannelNorm(width)

    def forward(self, maps: Maps) -> Maps:
        inner = self.weigh(F.hardswish(self.norm1(self.depthwise(maps))))
        return self.norm2(self.pointwise(inner))


class LightProjector(nn.Module):
    """`[image, h * w, width]` to `[image, ceil(h / 2) * ceil(w / 2), host width]`."""

    def __init__(self, width: int, host_width: int) -> None:
        super().__init__()
        self.mlp = MLP().build(width, host_width)
        self.first, self.second = _Block(host_width, 1), _Block(host_width, 2)

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        given = Features(self.mlp(features.tokens), features.grid, features.valid)
        return over_grids(given, self._fewer)

    def _fewer(self, maps: Maps) -> Maps:
        return self.second(maps + self.first(maps))


class PooledProjector(nn.Module):
    """`[image, token, width]` to `[image, side^2, host width]`."""

    def __init__(self, side: int, width: int, host_width: int) -> None:
        super().__init__()
        self.side = side
        self.mlp = MLP().build(width, host_width)
        self.depthwise = depthwise(host_width, bias=True)

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        given = Features(self.mlp(features.tokens), features.grid, features.valid)
        return over_grids(given, self._fewer)

    def _fewer(self, maps: Maps) -> Maps:
        pooled = F.adaptive_avg_pool2d(maps, self.side)
        return pooled + self.depthwise(pooled)

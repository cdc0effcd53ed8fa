"""Two encoders of one picture become one: a learned share of each, before a connector."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log
from typing import cast

import torch
from torch import nn

from chiasm.spec import Connector, Work
from chiasm.stream import Asked, Connects, Features, Tokens


@dataclass(frozen=True, kw_only=True)
class MixedHalves:
    """`each` of x = a f_1 + (1 - a) f_2, a = sigmoid(s) learned from `start` (OCC-MLLM, arXiv
    2410.01261).

    Features come side by side, [f_1; f_2], as `ChannelConcat` of two encoders of one width gives.
    """

    each: Connector
    start: float = 0.9
    layerwise: bool = False

    def __post_init__(self) -> None:
        if not 0.0 < self.start < 1.0:
            raise ValueError(f"a share of {self.start} cannot be learned; start between 0 and 1")

    @property
    def conditioned(self) -> bool:
        return self.each.conditioned

    def count(self, grid: tuple[int, int]) -> int:
        return self.each.count(grid)

    def width(self, width: int, host_width: int) -> int:
        return self.each.width(width // 2, host_width)

    def build(self, width: int, host_width: int) -> nn.Module:
        if width % 2:
            raise ValueError(f"features {width} wide are no two halves; give encoders of one width")
        return Halves(cast(nn.Module, self.each.build(width // 2, host_width)), self.start)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        return self.each.work(grid, width // 2, host_width)


class Halves(nn.Module):
    """`[image, token, 2 width]` to what `each` makes of the mixture."""

    def __init__(self, each: nn.Module, start: float) -> None:
        super().__init__()
        self.each = each
        self.share = nn.Parameter(torch.tensor(log(start / (1 - start))))

    def mixed(self, features: Features) -> Features:
        """x, as wide as one encoder's features."""
        first, second = features.tokens.chunk(2, -1)
        return replace(features, tokens=torch.lerp(second, first, self.share.sigmoid()))

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        return cast("Connects", self.each).connect(self.mixed(features), asked)

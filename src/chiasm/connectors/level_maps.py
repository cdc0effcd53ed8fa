"""Each of an encoder's layers through a norm and a map of its own, side by side again."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from chiasm.spec import Work
from chiasm.spec.work import linear
from chiasm.stream import Asked, Features, Tokens


@dataclass(frozen=True, kw_only=True)
class LevelMaps:
    """[W_1 LN_1(f_1) + b_1; ...; W_K LN_K(f_K) + b_K], f_k the k-th of `levels` K equal shares of
    the channels, each mapped to the host's width: a token is K times as wide as the host (EVLM,
    arXiv 2407.14177). For layers that read one level each.
    """

    levels: int
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        return grid[0] * grid[1]

    def width(self, width: int, host_width: int) -> int:
        return self.levels * host_width

    def build(self, width: int, host_width: int) -> "LevelMapsConnector":
        if width % self.levels:
            raise ValueError(f"features {width} wide are not {self.levels} levels side by side")
        return LevelMapsConnector(self.levels, width // self.levels, host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        each = linear("connector", "level", self.count(grid), width // self.levels, host_width)
        return (each,) * self.levels


class LevelMapsConnector(nn.Module):
    """`[image, token, K * width]` to `[image, token, K * host width]`."""

    def __init__(self, levels: int, width: int, host_width: int) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, host_width)) for _ in range(levels)
        )

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        shares = features.tokens.chunk(len(self.levels), -1)
        mapped: list[Tensor] = [
            level(share) for level, share in zip(self.levels, shares, strict=True)
        ]
        return Tokens(torch.cat(mapped, -1), features.valid, features.grid)

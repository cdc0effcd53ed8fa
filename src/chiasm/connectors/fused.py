"""The projector of fused encoders: wide first, then the host's width twice."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from chiasm.connectors.mlp import Projection
from chiasm.spec import Work
from chiasm.spec.work import linear


@dataclass(frozen=True, kw_only=True)
class FusedMLP:
    """W3 gelu(W2 gelu(W1 f)), W1 `expansion` times as wide as the features (Prismatic VLMs,
    arXiv 2402.07865).
    """

    expansion: int = 4
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        return grid[0] * grid[1]

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> nn.Module:
        hidden = self.expansion * width
        return Projection(
            nn.Linear(width, hidden),
            nn.GELU(),
            nn.Linear(hidden, host_width),
            nn.GELU(),
            nn.Linear(host_width, host_width),
        )

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        tokens, hidden = self.count(grid), self.expansion * width
        return (
            linear("connector", "projection 1", tokens, width, hidden),
            linear("connector", "projection 2", tokens, hidden, host_width),
            linear("connector", "projection 3", tokens, host_width, host_width),
        )

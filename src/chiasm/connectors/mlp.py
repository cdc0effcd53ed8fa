"""One token in, one token out: a linear map (LLaVA) or a two-layer MLP (LLaVA-1.5)."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn
from transformers.activations import ACT2FN

from chiasm.spec import Work
from chiasm.spec.work import linear
from chiasm.stream import Asked, Features, Tokens


@dataclass(frozen=True)
class Linear:
    """W x + b (LLaVA, arXiv 2304.08485)."""

    bias: bool = True
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        return grid[0] * grid[1]

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> nn.Module:
        return Projection(nn.Linear(width, host_width, bias=self.bias))

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        return (linear("connector", "projection", self.count(grid), width, host_width),)


@dataclass(frozen=True)
class MLP:
    """W2 act(W1 x) (LLaVA-1.5, arXiv 2310.03744); `W1` maps to the host's width."""

    activation: str = "gelu"
    bias: bool = True
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        return grid[0] * grid[1]

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> nn.Module:
        return Projection(
            nn.Linear(width, host_width, bias=self.bias),
            ACT2FN[self.activation],
            nn.Linear(host_width, host_width, bias=self.bias),
        )

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        tokens = self.count(grid)
        return (
            linear("connector", "projection 1", tokens, width, host_width),
            linear("connector", "projection 2", tokens, host_width, host_width),
        )


@dataclass(frozen=True, kw_only=True)
class NormedMLP:
    """W2 act(W1 LN(x)) (ViP-LLaVA, arXiv 2312.00784): levels of several layers, made comparable."""

    activation: str = "gelu"
    norm_eps: float = 1e-5
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        return grid[0] * grid[1]

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> nn.Module:
        return Projection(
            nn.LayerNorm(width, eps=self.norm_eps),
            *MLP(self.activation).build(width, host_width).children(),
        )

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        return MLP(self.activation).work(grid, width, host_width)


class Projection(nn.Sequential):
    """Layers applied to every token alone: `[image, token, width]` to `[image, token, host]`."""

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        return Tokens(self(features.tokens), features.valid, features.grid)

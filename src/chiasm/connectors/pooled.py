"""Means over blocks of neighbouring tokens, after an MLP or before it."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from chiasm.connectors.mlp import MLP
from chiasm.connectors.shuffle import space_to_depth
from chiasm.spec import Work
from chiasm.stream import Asked, Features, Tokens


@dataclass(frozen=True, kw_only=True)
class MLPThenPool:
    """mean over `factor x factor` tokens of W2 gelu(W1 x) (Slow-Fast, arXiv 2504.01328).

    The grid must hold whole blocks; frames stacked in it keep apart if each does.
    """

    factor: int
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        return (grid[0] // self.factor) * (grid[1] // self.factor)

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> nn.Module:
        return PooledProjection(MLP().build(width, host_width), self.factor, first=False)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        return MLP().work(grid, width, host_width)


@dataclass(frozen=True, kw_only=True)
class PoolThenMLP:
    """W2 gelu(W1 x) of the mean x over `factor x factor` tokens (CrossLMM, arXiv 2505.17020)."""

    factor: int
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        return (grid[0] // self.factor) * (grid[1] // self.factor)

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> nn.Module:
        return PooledProjection(MLP().build(width, host_width), self.factor, first=True)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        pooled = grid[0] // self.factor, grid[1] // self.factor
        return MLP().work(pooled, width, host_width)


class PooledProjection(nn.Module):
    """`[image, token, width]` to `[image, token / factor^2, host width]`."""

    def __init__(self, mlp: nn.Module, factor: int, *, first: bool) -> None:
        super().__init__()
        self.mlp, self.factor, self.first = mlp, factor, first

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        tokens, grid = features.tokens, features.grid
        if self.first:
            tokens = self.mlp(self._pooled(tokens, grid))
        else:
            tokens = self._pooled(self.mlp(tokens), grid)
        return Tokens(tokens, None, (grid[0] // self.factor, grid[1] // self.factor))

    def _pooled(
        self, tokens: Float[Tensor, "image token width"], grid: tuple[int, int]
    ) -> Float[Tensor, "image block width"]:
        blocks = space_to_depth(tokens, grid, self.factor)
        return blocks.unflatten(-1, (self.factor**2, -1)).mean(2)

"""Space to depth: blocks of neighbouring tokens become one wider token ("pixel shuffle")."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from jaxtyping import Float
from torch import Tensor, nn
from transformers.activations import ACT2FN

from chiasm.errors import Misuse
from chiasm.spec import Work
from chiasm.spec.work import linear
from chiasm.stream import Asked, Features, Tokens

Factor = int | tuple[int, int]
"""Lines and columns of a block; one number for a square."""


def space_to_depth(
    tokens: Float[Tensor, "image token width"], grid: tuple[int, int], factor: Factor
) -> Float[Tensor, "image block wider"]:
    """Blocks of a row-major grid, in reading order, as one token each.

    Inside a block tokens are concatenated in reading order, so that the map is a bijection:
    `[image, rows * columns, width]` to `[image, rows * columns / n, width * n]` for blocks of n.
    """
    (rows, columns), (down, right) = block_grid(grid, factor), sides(factor)
    blocks = tokens.unflatten(1, (rows, down, columns, right))
    return blocks.transpose(2, 3).flatten(3).flatten(1, 2)


def sides(factor: Factor) -> tuple[int, int]:
    """Lines and columns of a block."""
    return (factor, factor) if isinstance(factor, int) else factor


def block_grid(grid: tuple[int, int], factor: Factor) -> tuple[int, int]:
    """Lines and columns of blocks.

    Raises:
        Misuse: a part of a block would be left.
    """
    down, right = sides(factor)
    if grid[0] % down or grid[1] % right:
        raise Misuse(
            f"a grid of {grid[0]} x {grid[1]} tokens has no whole blocks of {down} x {right}; "
            "choose an image size or a factor that divides"
        )
    return grid[0] // down, grid[1] // right


@dataclass(frozen=True, kw_only=True)
class ShuffleLinear:
    """W s(x) of every block s(x) of `factor x factor` tokens (Idefics3, arXiv 2408.12637).

    No bias. Every position of the grid counts, one of padding too, so that the count follows from
    the grid alone.
    """

    factor: int
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        rows, columns = block_grid(grid, self.factor)
        return rows * columns

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> nn.Module:
        return ShuffledLinear(self.factor, width, host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        wide = width * self.factor**2
        return (linear("connector", "projection", self.count(grid), wide, host_width),)


class ShuffledLinear(nn.Module):
    """`[image, token, width]` to `[image, token / factor^2, host width]`."""

    def __init__(self, factor: int, width: int, host_width: int) -> None:
        super().__init__()
        self.factor = factor
        self.proj = nn.Linear(width * factor**2, host_width, bias=False)

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        return Tokens(self.proj(space_to_depth(features.tokens, features.grid, self.factor)))


@dataclass(frozen=True, kw_only=True)
class ShuffleSwiGLU:
    """W2 (a * silu(b)) with [a; b] = W1 LN(s(x)) of every block s(x) (Aya Vision, 2505.08751).

    `hidden` is the width of [a; b]; matrices and norm have biases.
    """

    factor: int
    hidden: int
    norm_eps: float = 1e-6
    layerwise: bool = False

    def __post_init__(self) -> None:
        if self.hidden % 2:
            raise ValueError(f"{self.hidden} hidden units cannot be split into values and gates")

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        rows, columns = block_grid(grid, self.factor)
        return rows * columns

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> nn.Module:
        return ShuffledSwiGLU(self, width, host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        tokens, wide = self.count(grid), width * self.factor**2
        return (
            linear("connector", "projection 1", tokens, wide, self.hidden),
            linear("connector", "projection 2", tokens, self.hidden // 2, host_width),
        )


class ShuffledSwiGLU(nn.Module):
    """`[image, token, width]` to `[image, token / factor^2, host width]`."""

    def __init__(self, config: ShuffleSwiGLU, width: int, host_width: int) -> None:
        super().__init__()
        self.factor = config.factor
        wide = width * config.factor**2
        self.layernorm = nn.LayerNorm(wide, eps=config.norm_eps)
        self.linear_1 = nn.Linear(wide, config.hidden)
        self.linear_2 = nn.Linear(config.hidden // 2, host_width)
        self.activation = ACT2FN["silu"]

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        blocks = space_to_depth(features.tokens, features.grid, self.factor)
        values, gates = self.linear_1(self.layernorm(blocks)).chunk(2, -1)
        return Tokens(self.linear_2(values * self.activation(gates)))


@dataclass(frozen=True, kw_only=True)
class ShuffleMLP:
    """W2 act(W1 s(x)) of every block s(x) of `factor` tokens: squares (NVLM, arXiv 2409.11402), or
    strips of one line (Xmodel-VLM, arXiv 2405.09215).
    """

    factor: Factor
    activation: str = "gelu"
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        return prod(block_grid(grid, self.factor))

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> nn.Module:
        return ShuffledMLP(self, width, host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        tokens, wide = self.count(grid), width * prod(sides(self.factor))
        return (
            linear("connector", "projection 1", tokens, wide, host_width),
            linear("connector", "projection 2", tokens, host_width, host_width),
        )


class ShuffledMLP(nn.Module):
    """`[image, token, width]` to `[image, block, host width]`."""

    def __init__(self, config: ShuffleMLP, width: int, host_width: int) -> None:
        super().__init__()
        self.factor = config.factor
        self.linear_1 = nn.Linear(width * prod(sides(config.factor)), host_width)
        self.linear_2 = nn.Linear(host_width, host_width)
        self.activation = ACT2FN[config.activation]

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        blocks = space_to_depth(features.tokens, features.grid, self.factor)
        return Tokens(self.linear_2(self.activation(self.linear_1(blocks))))

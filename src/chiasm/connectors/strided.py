"""A convolution along the row of an image's tokens: fewer come out, of no grid."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from chiasm.errors import Misuse
from chiasm.spec import Work
from chiasm.spec.work import linear
from chiasm.stream import Asked, Features, Tokens


@dataclass(frozen=True, kw_only=True)
class StridedConv:
    """W f + b with f the convolution of the tokens in reading order, `channels` wide, without
    padding: floor((n - kernel) / stride) + 1 tokens of n (Macaw-LLM, arXiv 2306.09093); with an
    `activation` before W (MMMModal, arXiv 2402.11297).
    """

    one_size: ClassVar[bool] = True
    """Padding cannot be left out."""

    kernel: int
    stride: int
    channels: int
    activation: bool = False
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        tokens = grid[0] * grid[1]
        if tokens < self.kernel:
            raise Misuse(f"a kernel of {self.kernel} does not fit {tokens} tokens; take a smaller")
        return (tokens - self.kernel) // self.stride + 1

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> "StridedTokens":
        return StridedTokens(self, width, host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        tokens = self.count(grid)
        return (
            linear("connector", "convolution", tokens, self.kernel * width, self.channels),
            linear("connector", "projection", tokens, self.channels, host_width),
        )


class StridedTokens(nn.Module):
    """`[image, token, width]` to `[image, fewer, host width]`."""

    def __init__(self, config: StridedConv, width: int, host_width: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, config.channels, config.kernel, stride=config.stride)
        self.act = nn.GELU() if config.activation else nn.Identity()
        self.projection = nn.Linear(config.channels, host_width)

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        """Rows of as many windows as fit.

        Raises:
            Misuse: some tokens are padding, which a convolution would mix into others.
        """
        if features.valid is not None and not bool(features.valid.all()):
            raise Misuse("a convolution cannot leave out padding; give all images one size")
        rows = self.conv(features.tokens.transpose(1, 2)).transpose(1, 2)
        return Tokens(self.projection(self.act(rows)))

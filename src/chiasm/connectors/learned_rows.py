"""Features as rows of the host, with learned rows before, between and after them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool
from torch import Tensor, nn

from chiasm.spec import Work
from chiasm.spec.work import linear
from chiasm.stream import Asked, Features, Tokens


@dataclass(frozen=True, kw_only=True)
class LearnedRows:
    """W x + b for every feature, a class row first, a split row after every row of the grid (EVEv2,
    arXiv 2502.06788), queries after all (BREEN, arXiv 2503.12446): `first + h (w + split) +
    queries` tokens.
    """

    first: bool
    split: bool
    queries: int
    initial_std: float = 0.02
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        return self.first + grid[0] * (grid[1] + self.split) + self.queries

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> "LearnedRowsConnector":
        return LearnedRowsConnector(self, width, host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        return (linear("connector", "projection", grid[0] * grid[1], width, host_width),)


class LearnedRowsConnector(nn.Module):
    """`[image, h * w, width]` to `[image, first + h * (w + split) + queries, host width]`."""

    def __init__(self, config: LearnedRows, width: int, out: int) -> None:
        super().__init__()
        self.config = config
        self.projection = nn.Linear(width, out)
        self.first = self._drawn(1, out) if config.first else None
        self.split = self._drawn(1, out) if config.split else None
        self.queries = self._drawn(config.queries, out) if config.queries else None

    def _drawn(self, rows: int, width: int) -> nn.Parameter:
        return nn.Parameter(torch.randn(rows, width) * self.config.initial_std)

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        """A split row is valid with its row of the grid, the other learned rows always are."""
        images, (rows, columns) = len(features.tokens), features.grid
        tokens, valid = self.projection(features.tokens), features.valid
        if self.split is not None:
            ends = self.split.expand(images, rows, 1, -1)
            tokens = torch.cat([tokens.unflatten(1, (rows, columns)), ends], 2).flatten(1, 2)
            if valid is not None:
                cells = valid.unflatten(1, (rows, columns))
                valid = torch.cat([cells, cells.any(2, keepdim=True)], 2).flatten(1)
        if self.first is not None:
            tokens = torch.cat([self.first.expand(images, -1, -1), tokens], 1)
            valid = _longer(valid, 1, 0)
        if self.queries is not None:
            tokens = torch.cat([tokens, self.queries.expand(images, -1, -1)], 1)
            valid = _longer(valid, 0, len(self.queries))
        return Tokens(tokens, valid)


def _longer(
    valid: Bool[Tensor, "image token"] | None, before: int, after: int
) -> Bool[Tensor, "image longer"] | None:
    if valid is None:
        return None
    return nn.functional.pad(valid, (before, after), value=True)

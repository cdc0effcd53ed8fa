"""A second encoder's map is added to the first one's tokens before they are connected."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from torch import nn

from chiasm.spec import Connector, Work
from chiasm.spec.work import linear
from chiasm.stream import Asked, Connects, Features, Tokens


@dataclass(frozen=True, kw_only=True)
class AddedDetail:
    """each(f + W g), of features [f; g] side by side (`chiasm.encoders.ChannelConcat`): f is the
    first `share` (numerator, denominator) of the channels. W starts at zero, so that training
    starts at f alone (LLaVA-Read, arXiv 2407.19185; the sum and its start are ours).
    """

    share: tuple[int, int]
    each: Connector
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return self.each.conditioned

    def count(self, grid: tuple[int, int]) -> int:
        return self.each.count(grid)

    def width(self, width: int, host_width: int) -> int:
        return self.each.width(width * self.share[0] // self.share[1], host_width)

    def build(self, width: int, host_width: int) -> "AddedDetailConnector":
        first = self._first(width)
        inner = cast(nn.Module, self.each.build(first, host_width))
        return AddedDetailConnector(inner, first, width - first)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        first = self._first(width)
        added = linear("connector", "detail", grid[0] * grid[1], width - first, first)
        return (added, *self.each.work(grid, first, host_width))

    def _first(self, width: int) -> int:
        """Channels of f."""
        part, whole = self.share
        first, left = divmod(width * part, whole)
        if left or not 0 < first < width:
            raise ValueError(f"{width} channels have no two parts of which one is {part}/{whole}")
        return first


class AddedDetailConnector(nn.Module):
    """`[image, token, first + detail]` to the inner connector's tokens."""

    def __init__(self, each: nn.Module, first: int, detail: int) -> None:
        super().__init__()
        self.each, self.first = each, first
        self.detail = nn.Linear(detail, first, bias=False)
        nn.init.zeros_(self.detail.weight)

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        first, detail = features.tokens.tensor_split([self.first], dim=-1)
        seen = replace(features, tokens=first + self.detail(detail), taps=())
        return cast("Connects", self.each).connect(seen, asked)

"""Learned rows around a picture: a mark before its tokens and a mark after."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import nn

from chiasm.spec import Connector, Work
from chiasm.stream import Asked, Connects, Features, Tokens


@dataclass(frozen=True, kw_only=True)
class Marked:
    """[begin, tokens of `each`, end]: `<vision>` and `</vision>` of SAIL (arXiv 2504.10462)."""

    each: Connector
    initial_std: float = 0.02
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return self.each.conditioned

    def count(self, grid: tuple[int, int]) -> int:
        return self.each.count(grid) + 2

    def width(self, width: int, host_width: int) -> int:
        return self.each.width(width, host_width)

    def build(self, width: int, host_width: int) -> nn.Module:
        inner = cast(nn.Module, self.each.build(width, host_width))
        return Marks(inner, self.width(width, host_width), self.initial_std)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        return self.each.work(grid, width, host_width)


class Marks(nn.Module):
    """`[image, token, width]` to `[image, 1 + token + 1, width]`; padded tokens come before the
    end mark and stay invalid.
    """

    def __init__(self, each: nn.Module, width: int, std: float) -> None:
        super().__init__()
        self.each = each
        self.begin, self.end = (nn.Parameter(torch.randn(1, 1, width) * std) for _ in range(2))

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        inner = cast("Connects", self.each).connect(features, asked)
        images = inner.embeddings.shape[0]
        begin, end = (mark.expand(images, -1, -1) for mark in (self.begin, self.end))
        valid = None if inner.valid is None else F.pad(inner.valid, (1, 1), value=True)
        return Tokens(torch.cat([begin, inner.embeddings, end], dim=1), valid)

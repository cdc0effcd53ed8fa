"""Hidden channels that a module can lose, and the weights that make and read them."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn


class Kind(StrEnum):
    """What a channel belongs to."""

    ATTENTION = "attention"
    FEED_FORWARD = "feed-forward"


@dataclass(frozen=True)
class Vectors:
    """`count` hidden channels; channel i of every head is one vector (UPop, arXiv 2301.13741)."""

    kind: Kind
    count: int
    made: tuple[tuple[nn.Linear, int], ...]
    """Layers whose outputs are these channels, with the heads that each repeats them over."""
    read: tuple[nn.Linear, int]
    """The layer whose inputs they are."""
    queries: nn.Linear | None = None
    """The one of `made` whose outputs attention divides by the root of a head's width."""

    @property
    def weight(self) -> int:
        """How many rows of weights a vector is: 3 heads in attention, 1 in a plain feed-forward."""
        return sum(heads for _, heads in self.made)


@runtime_checkable
class Prunable(Protocol):
    """A module that says which of its hidden channels can be removed."""

    def vectors(self) -> Sequence[Vectors]: ...


class Masked(nn.Module):
    """Parametrization of the weights, or biases, that make masked channels: row r times its mask.

    Multiplying a channel by its mask and multiplying the weights that make it are the same; the
    mask is kept aside, so that it is neither a parameter nor part of a checkpoint.
    """

    def __init__(self, mask: Float[Tensor, " channel"], heads: int) -> None:
        super().__init__()
        self._mask, self.heads = (mask,), heads

    def forward(self, weight: Tensor) -> Tensor:
        """`[head * channel, ...]` to the same."""
        factor = self._mask[0].repeat(self.heads)
        return weight * factor.view(-1, *[1] * (weight.dim() - 1))


@torch.no_grad()
def cut(old: Vectors, new: Vectors, kept: Int[Tensor, " kept"], empty: bool = False) -> None:
    """Fill a narrower module's weights with the kept channels of a wider one.

    Queries are multiplied by sqrt(new width / old width), so that attention, which divides scores
    by the root of its own width, gives the scores of the wide module. `empty` says that no channel
    was kept: the one that remains, as no layer has none, is made zero.
    """
    for (source, heads), (target, _) in zip(old.made, new.made, strict=True):
        rows = _rows(kept, old.count, heads)
        scale = (new.count / old.count) ** 0.5 if source is old.queries else 1.0
        scale = 0.0 if empty else scale
        target.weight.copy_(source.weight[rows] * scale)
        if source.bias is not None:
            target.bias.copy_(source.bias[rows] * scale)
    source, heads = old.read
    new.read[0].weight.copy_(source.weight[:, _rows(kept, old.count, heads)])
    if source.bias is not None:
        new.read[0].bias.copy_(source.bias)


def _rows(kept: Tensor, count: int, heads: int) -> Tensor:
    """Indices of channels, head after head."""
    starts = torch.arange(heads, device=kept.device).unsqueeze(1) * count
    return (starts + kept).flatten()

"""Heads: from a stage's width to the space that items share, token by token."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers.activations import ACT2FN

from chiasm.embedders.states import States


@dataclass(frozen=True)
class Unprojected:
    """The null answer."""

    def width(self, width: int) -> int:
        return width

    def build(self, width: int) -> nn.Module:
        return nn.Identity()


@dataclass(frozen=True, kw_only=True)
class LinearHead:
    """W x + b."""

    out: int
    bias: bool = True

    def width(self, width: int) -> int:
        return self.out

    def build(self, width: int) -> nn.Module:
        return TokenWise(nn.Linear(width, self.out, bias=self.bias))


@dataclass(frozen=True, kw_only=True)
class MLPHead:
    """W2 act(W1 x + b1) + b2."""

    hidden: int
    out: int
    activation: str = "gelu"

    def width(self, width: int) -> int:
        return self.out

    def build(self, width: int) -> nn.Module:
        return TokenWise(
            nn.Sequential(
                nn.Linear(width, self.hidden),
                ACT2FN[self.activation],
                nn.Linear(self.hidden, self.out),
            )
        )


@dataclass(frozen=True, kw_only=True)
class ActivatedHead:
    """W act(x) + b (Frozen in Time's text side, arXiv 2104.00650)."""

    out: int
    activation: str = "relu"

    def width(self, width: int) -> int:
        return self.out

    def build(self, width: int) -> nn.Module:
        return TokenWise(nn.Sequential(ACT2FN[self.activation], nn.Linear(width, self.out)))


@dataclass(frozen=True, kw_only=True)
class IdentityStart:
    """x + W2 selu(W1 x), both matrices the identity at first, no bias at first (ABC,
    arXiv 2503.00329).
    """

    hidden: int

    def width(self, width: int) -> int:
        return width

    def build(self, width: int) -> nn.Module:
        return TokenWise(_IdentityStart(width, self.hidden))


class TokenWise(nn.Module):
    """A map of single tokens, over all of an item's."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, states: States) -> States:
        return states.carrying(self.inner(states.tokens))


class _IdentityStart(nn.Module):
    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(width, hidden), nn.Linear(hidden, width)
        for layer in (self.first, self.second):
            nn.init.eye_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(torch.selu(self.first(x)))

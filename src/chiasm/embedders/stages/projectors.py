"""Projectors of tokens between frozen encoders of one modality each (arXiv 2409.19425)."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from chiasm.embedders.stages.project import TokenWise
from chiasm.embedders.stages.reduce import mean_over
from chiasm.embedders.states import States


@dataclass(frozen=True, kw_only=True)
class ProjectedTokens:
    """The mean over projected tokens; where the first is a class token, a mean(others) + b P(first)
    with a projector of its own, a and b learned.

    Every projector is the sum of a linear and a two-layer branch over a normed token.
    """

    out: int
    dropout: float = 0.1
    class_token: bool = False

    def width(self, width: int) -> int:
        return self.out

    def build(self, width: int) -> nn.Module:
        return _ProjectedTokens(self, width)


@dataclass(frozen=True, kw_only=True)
class ResidualHead:
    """LN(dropout(W2 gelu(p)) + p), p = W1 x."""

    out: int
    dropout: float = 0.1

    def width(self, width: int) -> int:
        return self.out

    def build(self, width: int) -> nn.Module:
        return TokenWise(_Residual(self, width))


class TokenProjector(nn.Module):
    """W x + W2 gelu(W1 x), x = dropout(LN(token))."""

    def __init__(self, width: int, out: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.dropout = nn.LayerNorm(width), nn.Dropout(dropout)
        self.linear = nn.Linear(width, out)
        self.deep = nn.Sequential(nn.Linear(width, out), nn.GELU(), nn.Linear(out, out))

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(self.norm(x))
        return self.linear(x) + self.deep(x)


class _ProjectedTokens(nn.Module):
    def __init__(self, config: ProjectedTokens, width: int) -> None:
        super().__init__()
        self.tokens = TokenProjector(width, config.out, config.dropout)
        self.first = self.shares = None
        if config.class_token:
            self.first = TokenProjector(width, config.out, config.dropout)
            self.shares = nn.Parameter(torch.ones(2))

    def forward(self, states: States) -> States:
        if self.first is None or self.shares is None:
            return states.alone(mean_over(self.tokens(states.tokens), states.valid))
        patches = mean_over(self.tokens(states.tokens[:, 1:]), states.valid[:, 1:])
        first = self.first(states.tokens[:, 0])
        return states.alone(self.shares[0] * patches + self.shares[1] * first)


class _Residual(nn.Module):
    def __init__(self, config: ResidualHead, width: int) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(width, config.out), nn.Linear(config.out, config.out)
        self.dropout, self.norm = nn.Dropout(config.dropout), nn.LayerNorm(config.out)

    def forward(self, x: Tensor) -> Tensor:
        p = self.first(x)
        return self.norm(self.dropout(self.second(nn.functional.gelu(p))) + p)

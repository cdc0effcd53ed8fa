"""From many tokens to one, or to those that remain."""

from dataclasses import dataclass
from typing import cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from chiasm.embedders.states import States
from chiasm.errors import Misuse
from chiasm.layers import attend, merge_heads, split_heads
from chiasm.stream import ALL, Permission, Rows


@dataclass(frozen=True)
class EveryToken:
    """The null answer: all of them."""

    def width(self, width: int) -> int:
        return width

    def build(self, width: int) -> nn.Module:
        return nn.Identity()


@dataclass(frozen=True, kw_only=True)
class AtLayer:
    """Every token as it was after one of the layers that the encoder gives; -2: before the last."""

    layer: int

    def width(self, width: int) -> int:
        return width

    def build(self, width: int) -> nn.Module:
        return _AtLayer(self.layer)


@dataclass(frozen=True)
class FirstToken:
    """The state of the first real token: a class token's."""

    def width(self, width: int) -> int:
        return width

    def build(self, width: int) -> nn.Module:
        return _First()


@dataclass(frozen=True)
class LastToken:
    """The state of the last real token, on whichever side the padding is."""

    def width(self, width: int) -> int:
        return width

    def build(self, width: int) -> nn.Module:
        return _Last()


@dataclass(frozen=True, kw_only=True)
class MeanToken:
    """The mean over real tokens; an instruction's count if it is `told`.

    An item that has tokens of `among` is read at these alone (jina-v4 reads a picture at its own
    tokens, and words alone at all of theirs).
    """

    told: bool = True
    among: Rows = ALL

    def width(self, width: int) -> int:
        return width

    def build(self, width: int) -> nn.Module:
        return _Mean(self)


@dataclass(frozen=True, kw_only=True)
class LatentAttention:
    """mean of x + mlp(LN x), x = tokens that read learned latents (NV-Embed, arXiv 2405.17428).

    Queries are the tokens' states, keys and values the latents; an instruction's tokens are left
    out of the mean.
    """

    latents: int
    heads: int
    multiple: int = 4

    def width(self, width: int) -> int:
        return width

    def build(self, width: int) -> nn.Module:
        return _Latents(self, width)


class _AtLayer(nn.Module):
    def __init__(self, layer: int) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, states: States) -> States:
        if not states.layers:
            raise Misuse("this encoder gives its last layer alone; let it give all of them")
        return states.carrying(states.layers[self.layer])


class _First(nn.Module):
    def forward(self, states: States) -> States:
        return _at(states, states.valid.long().argmax(-1))


class _Last(nn.Module):
    def forward(self, states: States) -> States:
        count = states.valid.shape[1]
        places = torch.arange(count, device=states.valid.device)
        return _at(states, torch.where(states.valid, places, -1).amax(-1).clamp(min=0))


def _at(states: States, place: Tensor) -> States:
    rows = torch.arange(len(place), device=place.device)
    return states.alone(states.tokens[rows, place])


class _Mean(nn.Module):
    def __init__(self, config: MeanToken) -> None:
        super().__init__()
        self.config = config

    def forward(self, states: States) -> States:
        counted = states.valid if self.config.told else states.valid & ~states.told
        asked = counted & self.config.among.holds(states.modality)
        counted = torch.where(asked.any(-1, keepdim=True), asked, counted)
        return states.alone(mean_over(states.tokens, counted))


class _Latents(nn.Module):
    def __init__(self, config: LatentAttention, width: int) -> None:
        super().__init__()
        self.heads = config.heads
        self.latents = nn.Parameter(torch.randn(config.latents, width) * width**-0.5)
        self.query, self.key, self.value, self.out = (
            nn.Linear(width, width, bias=False) for _ in range(4)
        )
        self.norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, config.multiple * width),
            nn.GELU(),
            nn.Linear(config.multiple * width, width),
        )

    def forward(self, states: States) -> States:
        latents = self.latents.expand(len(states.tokens), -1, -1)
        q, k, v = (
            split_heads(cast(Tensor, part), self.heads)
            for part in (self.query(states.tokens), self.key(latents), self.value(latents))
        )
        x = self.out(merge_heads(attend(q, k, v, Permission())))
        x = x + self.mlp(self.norm(x))
        return states.alone(mean_over(x, states.valid & ~states.told))


def mean_over(
    tokens: Float[Tensor, "item token width"], counted: Bool[Tensor, "item token"]
) -> Float[Tensor, "item width"]:
    """The mean of some tokens; zeros where there is none."""
    weight = counted.unsqueeze(-1).to(tokens.dtype)
    return (tokens * weight).sum(1) / weight.sum(1).clamp(min=1)

"""The time of a flow: as numbers that layers read, and as the interval that it lies in."""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

FREQUENCIES = 256
"""Cosines and sines that a time becomes."""


def waves(time: Float[Tensor, "*n"]) -> Float[Tensor, "*n 256"]:
    """[cos, sin](1000 t f) in float32, f falling from 1 towards 1/10,000 (arXiv 2212.09748)."""
    half = FREQUENCIES // 2
    steps = torch.arange(half, dtype=torch.float32, device=time.device) / half
    angles = 1000.0 * time.float().unsqueeze(-1) * 10_000.0**-steps
    return torch.cat([angles.cos(), angles.sin()], dim=-1)


def time_group(time: Float[Tensor, "*n"], groups: int) -> Int[Tensor, "*n"]:
    """Which of `groups` equal intervals of [0, 1] holds each time; 1 belongs to the last."""
    return (time * groups).long().clamp(0, groups - 1)


class TimeEmbedding(nn.Module):
    """W2 silu(W1 waves(t))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Linear(FREQUENCIES, width)
        self.second = nn.Linear(width, width)

    def forward(self, time: Float[Tensor, "*n"]) -> Float[Tensor, "*n width"]:
        return self.second(nn.functional.silu(self.first(waves(time).to(self.first.weight.dtype))))

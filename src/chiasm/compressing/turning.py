"""Rotary positions as transformers' models apply them, on rows before heads."""

import torch
from jaxtyping import Float
from torch import Tensor


def turned(
    x: Float[Tensor, "*at row head width"],
    cosine: Float[Tensor, "*at row width"],
    sine: Float[Tensor, "*at row width"],
) -> Float[Tensor, "*at row head width"]:
    """x cos + (-x_2, x_1) sin, pairs being halves (arXiv 2104.09864)."""
    first, second = x.chunk(2, -1)
    return x * cosine.unsqueeze(-2) + torch.cat([-second, first], -1) * sine.unsqueeze(-2)

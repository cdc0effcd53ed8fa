"""Fourier features of places on a grid: where a byte stands, in all resolutions at once."""

from collections.abc import Sequence
from math import pi

import torch
from jaxtyping import Float
from torch import Tensor


def fourier_width(bands: int, axes: int) -> int:
    """Numbers that a place becomes: its own coordinates, a sine and a cosine of each band."""
    return axes * (2 * bands + 1)


def fourier_features(
    counts: Sequence[int],
    bands: int,
    resolution: Sequence[int],
    *,
    device: torch.device | str | None = None,
) -> Float[Tensor, "place feature"]:
    """[p, sin(pi f_k p_d), cos(pi f_k p_d)] of every place of a grid (arXiv 2103.03206, 3.2).

    A coordinate p_d runs from -1 to 1 over the `counts[d]` places of its axis; the frequencies f_k
    are spaced evenly from 1 to half the `resolution` of the axis, its Nyquist frequency. Places
    are in reading order; all coordinates come first, then all sines, then all cosines.
    """
    axes = [torch.linspace(-1.0, 1.0, count, device=device) for count in counts]
    places = torch.stack([axis.flatten() for axis in torch.meshgrid(*axes, indexing="ij")], dim=-1)
    frequencies = torch.stack(
        [torch.linspace(1.0, most / 2, bands, device=device) for most in resolution]
    )
    angles = pi * (places.unsqueeze(-1) * frequencies).flatten(1)
    return torch.cat([places, angles.sin(), angles.cos()], dim=1)

"""Patches with nothing on them, which an encoder need not see (PEAP-Fast)."""

import torch
from jaxtyping import Bool, Float
from torch import Tensor


def written_patches(
    images: Float[Tensor, "image channel height width"], patch: int, threshold: float
) -> Bool[Tensor, "image row_column"]:
    """Which whole patches stay, in reading order: those whose pixels' variance, over channels too,
    is at least `threshold` (PixelWorld, arXiv 2501.19339). The others keep their place free: the
    positions of those that stay are what they were.

    A threshold below 0 keeps all; an image with nothing on it keeps its first patch.
    """
    cells = images.unfold(2, patch, patch).unfold(3, patch, patch)
    cells = cells.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)
    stays = cells.float().var(-1, correction=0) >= threshold
    blank = ~stays.any(1)
    first = torch.zeros_like(stays)
    first[:, 0] = True
    return stays | (first & blank.unsqueeze(1))


def kept_ratio(stays: Bool[Tensor, "image patch"]) -> float:
    """Share of the patches that stay."""
    return float(stays.float().mean())

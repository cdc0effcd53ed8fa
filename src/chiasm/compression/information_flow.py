"""Looks of VFlowOpt (arXiv 2508.05211): where attention gathers, and how much there is to see."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class CalibratedAttention:
    """What the most attended patches of a unit attend to.

    A is the head-mean map among patches, rec its columns' means, and the value of patch j is the
    mean of A[i, j] over the patches i with rec_i > threshold * mean(rec). Where there is none, it
    is the most attended patch's row alone.
    """

    block: int
    threshold: float

    @property
    def rows_of_all(self) -> bool:
        return True

    def per_patch(
        self, attention: Float[Tensor, "head query row"], class_tokens: int
    ) -> Float[Tensor, " patch"]:
        mean = attention[:, class_tokens:, class_tokens:].mean(0)
        received = mean.mean(0)
        chosen = received > self.threshold * received.mean()
        weights = torch.where(chosen.any(), chosen, received == received.max()).to(mean)
        return weights @ mean / weights.sum()


@dataclass(frozen=True)
class PatchEntropy:
    """softmax over a unit's patches of the entropy of each patch's grey values."""

    def of_pixels(
        self, pixels: Float[Tensor, "3 height width"], side: int
    ) -> Float[Tensor, " patch"]:
        return grey_entropy(pixels, side).softmax(0)


def grey_entropy(pixels: Float[Tensor, "3 height width"], side: int) -> Float[Tensor, " patch"]:
    """-sum_g p_g log2 p_g over 256 grey values: the channels' mean, rounded, of each patch."""
    grey = (255 * pixels.float().mean(0)).round().long()
    patches = grey.unfold(0, side, side).unfold(1, side, side).reshape(-1, side * side)
    counts = patches.new_zeros(len(patches), 256, dtype=torch.float32)
    counts.scatter_add_(1, patches, torch.ones_like(patches, dtype=torch.float32))
    shares = counts / side**2
    return -torch.special.xlogy(shares, shares).sum(1) / torch.log(shares.new_tensor(2.0))

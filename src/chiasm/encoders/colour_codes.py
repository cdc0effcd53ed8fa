"""Discrete image tokens without a learned tokenizer: the colour of every patch, in few levels."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from chiasm.spec import Size, Work
from chiasm.stream import Features


@dataclass(frozen=True)
class ColourCodes:
    """code = (r L + g) L + b of each patch's mean colour, every channel in L levels of [low, high].

    Stands for a vector-quantised tokenizer (Chameleon's, as MoMa uses it, arXiv 2407.21770): an
    image becomes ids of a vocabulary of L^3, with no parameter and nothing to learn. A part of a
    patch counts as one. Features are the ids, one number a token.
    """

    patch: int
    levels: int
    low: float = 0.0
    high: float = 1.0
    width: int = 1

    @property
    def codes(self) -> int:
        """Size of the vocabulary."""
        return self.levels**3

    def grid(self, size: Size) -> tuple[int, int]:
        return -(-size[0] // self.patch), -(-size[1] // self.patch)

    def build(self) -> "ColourCodesEncoder":
        return ColourCodesEncoder(self)

    def work(self, size: Size) -> Sequence[Work]:
        return ()


class ColourCodesEncoder(nn.Module):
    """Images `[image, 3, height, width]` to ids `[image, patch, 1]`, as floating-point numbers."""

    def __init__(self, config: ColourCodes) -> None:
        super().__init__()
        self.config = config

    def forward(
        self,
        images: Float[Tensor, "image 3 height width"],
        image_valid: Bool[Tensor, "image height width"] | None = None,
    ) -> Features:
        """A patch's colour is the mean of its pixels that are the image's own."""
        p = self.config.patch
        missing = (0, -images.shape[3] % p, 0, -images.shape[2] % p)
        shown = images.new_ones(images.shape[:1] + images.shape[2:], dtype=torch.bool)
        shown = F.pad(shown if image_valid is None else image_valid, missing).unsqueeze(1).float()
        counted = F.avg_pool2d(shown, p)
        colour = F.avg_pool2d(F.pad(images.float(), missing) * shown, p) / counted.clamp(min=1e-6)
        codes = self.codes(colour)
        valid = None if image_valid is None else (counted > 0).flatten(1)
        grid = (codes.shape[1], codes.shape[2])
        return Features(codes.flatten(1).unsqueeze(-1).to(images.dtype), grid, valid)

    def codes(self, colour: Float[Tensor, "image 3 row column"]) -> Int[Tensor, "image row column"]:
        """The ids of mean colours."""
        config = self.config
        share = (colour - config.low) / (config.high - config.low)
        level = (share * config.levels).floor().clamp(0, config.levels - 1).long()
        return (level[:, 0] * config.levels + level[:, 1]) * config.levels + level[:, 2]

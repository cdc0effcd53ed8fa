"""Raw patches become rows of the trunk: a linear map, a learned place, learned rows around."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor, nn

from chiasm.spec import Work
from chiasm.spec.work import linear
from chiasm.stream import Asked, Features, Tokens


@dataclass(frozen=True, kw_only=True)
class PatchEmbedding:
    """W patch + place for every patch, a [CLS] before them and `learned` rows after.

    Places are learned for a grid of `side` and stretched (bilinear, corners on corners) to the grid
    of each image (ViLT, arXiv 2102.03334). Learned rows know of no image (Zorro's fusion tokens,
    arXiv 2301.09595).
    """

    side: tuple[int, int]
    """Rows and columns of the learned places."""
    class_token: bool = True
    learned: int = 0
    initial_std: float = 0.02
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        return grid[0] * grid[1] + int(self.class_token) + self.learned

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> "PatchRows":
        return PatchRows(self, width, host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        return (linear("connector", "patches", grid[0] * grid[1], width, host_width),)


class PatchRows(nn.Module):
    """`[image, patch, width]` to `[image, 1 + patch + learned, host width]`."""

    def __init__(self, config: PatchEmbedding, width: int, out: int) -> None:
        super().__init__()
        self.config = config
        side = isqrt(width // 3)
        # Raw patches are mapped by the convolution that published weights hold.
        channels, side = (3, side) if 3 * side * side == width else (width, 1)
        self.projection = nn.Conv2d(channels, out, side, stride=side)
        self.places = self._drawn(config.side[0] * config.side[1] + int(config.class_token), out)
        self.class_token = self._drawn(1, out) if config.class_token else None
        self.learned = self._drawn(config.learned, out) if config.learned else None

    def _drawn(self, rows: int, width: int) -> nn.Parameter:
        drawn = torch.empty(1, rows, width)
        return nn.Parameter(nn.init.trunc_normal_(drawn, std=self.config.initial_std))

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        """Rows in reading order; a padded image's patches stand as if it came alone."""
        weight = self.projection.weight.flatten(1)
        tokens = F.linear(features.tokens.to(weight.dtype), weight, self.projection.bias)
        tokens, valid = tokens + self._places(features), features.valid
        images = len(tokens)
        if self.class_token is not None:
            first = (self.class_token + self.places[:, :1]).expand(images, -1, -1)
            tokens, valid = torch.cat([first, tokens], dim=1), _longer(valid, 1, 0)
        if self.learned is not None:
            tokens = torch.cat([tokens, self.learned.expand(images, -1, -1)], dim=1)
            valid = _longer(valid, 0, self.config.learned)
        return Tokens(tokens, valid)

    def _places(self, features: Features) -> Float[Tensor, "image patch width"]:
        """The learned grid stretched to each image's own, zeros beyond it."""
        learned = self.places[:, int(self.config.class_token) :].transpose(1, 2)
        learned, (rows, columns) = learned.unflatten(2, self.config.side), features.grid
        if features.valid is None:
            return _stretched(learned, (rows, columns)).flatten(2).transpose(1, 2)
        valid = features.valid.unflatten(1, (rows, columns))
        own = zip(valid[:, :, 0].sum(1).tolist(), valid[:, 0].sum(1).tolist(), strict=True)
        each = [
            F.pad(_stretched(learned, size), (0, columns - size[1], 0, rows - size[0]))
            for size in own
        ]
        return torch.cat(each).flatten(2).transpose(1, 2)


def _stretched(
    learned: Float[Tensor, "1 width row column"], grid: tuple[int, int]
) -> Float[Tensor, "1 width rows columns"]:
    if tuple(learned.shape[-2:]) == grid:
        return learned
    return F.interpolate(learned, size=grid, mode="bilinear", align_corners=True)


def _longer(
    valid: Bool[Tensor, "image token"] | None, before: int, after: int
) -> Bool[Tensor, "image longer"] | None:
    """The mask with valid rows added at either end."""
    return None if valid is None else F.pad(valid, (before, after), value=True)

"""Means over time and space of connected tokens: few enter, all can be read besides."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.spec import Work
from chiasm.spec.reading import Losses
from chiasm.stream import Features


@dataclass(frozen=True, kw_only=True)
class PooledTokens:
    """A clip of `frames` frames, one above the other, becomes `kept_frames` frames of `side x side`
    tokens, each the mean of its share of time and of the frame (adaptive: shares may overlap by
    one). `side=None` keeps all places. A picture is a clip of one frame.
    """

    frames: int
    kept_frames: int
    side: int | None

    @property
    def of_tokens(self) -> bool:
        return True

    def count(self, tokens: int) -> int:
        each = tokens // self.frames if self.side is None else self.side**2
        return self.kept_frames * each if tokens else 0

    def build(self, width: int) -> nn.Module:
        return Pool(self)

    def work(self, tokens: int, width: int) -> Sequence[Work]:
        return ()


class Pool(nn.Module):
    """`[image, frames * rows * columns, width]` to `[image, kept, width]`."""

    def __init__(self, config: PooledTokens) -> None:
        super().__init__()
        self.config = config

    def keep(self, features: Features, losses: Losses | None = None) -> Features:
        """The means, frame after frame; places of padding count for nothing."""
        config, (rows, columns) = self.config, features.grid
        if rows % config.frames:
            raise ValueError(f"{rows} rows of tokens are not {config.frames} equal frames")
        clip = config.frames, rows // config.frames, columns
        cells = features.tokens.unflatten(1, clip).movedim(-1, 1)
        valid = None if features.valid is None else features.valid.unflatten(1, clip)
        if config.side is None:
            side, kept = clip[1:], self._pooled(cells, clip[1:])
            shown = None if valid is None else valid[:, : config.kept_frames].flatten(1)
        else:
            side, shown = (config.side, config.side), None
            if valid is None:
                kept = self._pooled(cells, side)
            else:
                pairs = zip(cells, valid, strict=True)
                kept = torch.cat([self._pooled(_seen(one, own), side) for one, own in pairs])
        grid = config.kept_frames * side[0], side[1]
        return Features(kept.movedim(1, -1).flatten(1, 3), grid, shown)

    def _pooled(
        self, cells: Float[Tensor, "image width frame row column"], side: tuple[int, int]
    ) -> Tensor:
        size = self.config.kept_frames, side[0], side[1]
        return nn.functional.adaptive_avg_pool3d(cells, size)


def own_cells(features: Features) -> list[Float[Tensor, "image width row column"]]:
    """The features as maps: all in one where nothing is padded, else image by image, each of its
    own size.
    """
    maps = features.tokens.mT.unflatten(-1, features.grid)
    if features.valid is None:
        return [maps]
    valid = features.valid.unflatten(1, features.grid).unsqueeze(1)
    pairs = zip(maps.unsqueeze(2), valid, strict=True)
    return [_seen(one, own).squeeze(2) for one, own in pairs]


def _seen(cells: Tensor, valid: Tensor) -> Float[Tensor, "1 width frame row column"]:
    """One image's own part of the padded grid."""
    rows, columns = valid.any(2).any(0), valid.any(1).any(0)
    return cells[:, :, rows][:, :, :, columns].unsqueeze(0)

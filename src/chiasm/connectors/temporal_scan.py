"""STORM's temporal projector: an MLP a frame, scans over the clip, then pooling and sampling."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor, nn

from chiasm.layers import BidirectionalMamba2, ScanOrder
from chiasm.spec import Work
from chiasm.spec.state_space import StateSpace
from chiasm.spec.work import linear
from chiasm.stream import Asked, Features, Tokens


@dataclass(frozen=True, kw_only=True)
class TemporalScan:
    """x = W2 gelu(W1 f); `depth` times x += BiMamba2(LN(x)); then fewer tokens (arXiv 2503.04130).

    A clip's features come as one grid, its `frames` one above the other; a frame alone is a clip of
    one. The mixer sums a scan of the clip and one back, and ends in zeros: a fresh
    projector equals the MLP. As every frame holds something of the others after mixing, frames can
    be pooled by `pool_time`, places by `pool_space` x `pool_space`, and, without further teaching,
    every `sample`-th frame kept and the rest dropped. The depth, the sum and the size of the state
    are ours; the paper does not state them.
    """

    mixer: StateSpace
    depth: int = 1
    frames: int = 1
    axes: tuple[int, int, int] = (0, 1, 2)
    """The walk through (t, y, x), from the slowest axis to the fastest (`chiasm.layers.ScanOrder`);
    the default is the raster, frame after frame."""
    pool_time: int = 1
    pool_space: int = 1
    sample: int = 1
    layerwise: bool = False

    def __post_init__(self) -> None:
        factors = (self.frames, self.pool_time, self.pool_space, self.sample)
        if min(factors) < 1:
            raise ValueError(f"frames, pooling and sampling factors start at 1, given {factors}")

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        frames, rows, columns = self.clip(grid)
        kept = ceil(ceil(frames / self.pool_time) / self.sample)
        return kept * ceil(rows / self.pool_space) * ceil(columns / self.pool_space)

    def clip(self, grid: tuple[int, int]) -> tuple[int, int, int]:
        """Frames, and the rows and columns of each, of a grid of stacked frames."""
        if grid[0] % self.frames:
            raise ValueError(f"{grid[0]} rows of tokens are not {self.frames} equal frames")
        return self.frames, grid[0] // self.frames, grid[1]

    def width(self, width: int, host_width: int) -> int:
        return host_width

    def build(self, width: int, host_width: int) -> "TemporalProjector":
        return TemporalProjector(self, width, host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        tokens = grid[0] * grid[1]
        mixing = self.mixer.work("connector", "scan", tokens, host_width, scans=2)
        return (
            linear("connector", "projection 1", tokens, width, host_width),
            linear("connector", "projection 2", tokens, host_width, host_width),
            *tuple(mixing) * self.depth,
        )


class TemporalProjector(nn.Module):
    """`[clip, frame * token, width]` to `[clip, kept token, host width]`."""

    def __init__(self, config: TemporalScan, width: int, host_width: int) -> None:
        super().__init__()
        self.config = config
        self.mlp = nn.Sequential(
            nn.Linear(width, host_width), nn.GELU(), nn.Linear(host_width, host_width)
        )
        depth = range(config.depth)
        self.norms = nn.ModuleList(nn.LayerNorm(host_width) for _ in depth)
        self.mixers = nn.ModuleList(_silent(config.mixer, host_width) for _ in depth)

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        config, clip = self.config, self.config.clip(features.grid)
        order = ScanOrder(config.axes)
        tokens, valid = self.mlp(features.tokens), features.valid
        walked = None if valid is None else order.scan(valid, clip)
        for norm, mixer in zip(self.norms, self.mixers, strict=True):
            update = mixer(order.scan(norm(tokens), clip), walked)
            tokens = tokens + order.unscan(update, clip)
        tokens = tokens.unflatten(1, clip)
        share = tokens.new_ones(1, *clip) if valid is None else valid.unflatten(1, clip).to(tokens)
        if config.pool_time * config.pool_space > 1:
            tokens, share = _pooled(tokens, share, config.pool_time, config.pool_space)
        tokens, share = (kept[:, :: config.sample].flatten(1, 3) for kept in (tokens, share))
        return Tokens(tokens, None if valid is None else share > 0)


def _silent(sizes: StateSpace, width: int) -> BidirectionalMamba2:
    """A mixer whose update is zero until it is taught."""
    mixer = BidirectionalMamba2(width, sizes, share=1.0)
    for parameter in mixer.out_proj.parameters():
        nn.init.zeros_(parameter)
    return mixer


def _pooled(tokens: Tensor, share: Tensor, time: int, space: int) -> tuple[Tensor, Tensor]:
    """Means over boxes of `time` x `space` x `space` places, of the places with a share; boxes at
    the end may be smaller. Also how much of each box has one.
    """
    sides = zip((time, space, space), share.shape[1:], strict=True)
    box = [min(side, there) for side, there in sides]

    def mean(values: Tensor) -> Tensor:
        return nn.functional.avg_pool3d(
            values, box, stride=box, ceil_mode=True, count_include_pad=False
        )

    held = mean(share.unsqueeze(1))
    means = mean((tokens * share.unsqueeze(-1)).movedim(-1, 1))
    means = means / held.clamp(min=torch.finfo(held.dtype).tiny)
    return means.movedim(1, -1), held.squeeze(1)

"""A learned vector for each frame of a clip, before its connector reads all frames at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from chiasm.errors import Misuse
from chiasm.spec import Connector, Work
from chiasm.stream import Asked, Connects, Features, Tokens


@dataclass(frozen=True, kw_only=True)
class Timed:
    """`each` over x + t_f, t_f of the frame f that x is of, 0 at first (ChatBridge, arXiv
    2305.16103). Frames are stacked, one above the other; a picture is a clip of one frame.
    """

    each: Connector
    frames: int
    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return self.each.conditioned

    def count(self, grid: tuple[int, int]) -> int:
        return self.each.count(grid)

    def width(self, width: int, host_width: int) -> int:
        return self.each.width(width, host_width)

    def build(self, width: int, host_width: int) -> "TimedFrames":
        inner = cast(nn.Module, self.each.build(width, host_width))
        return TimedFrames(inner, self.frames, width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        return self.each.work(grid, width, host_width)


class TimedFrames(nn.Module):
    """`[image, frames * token, width]` to what the connector within gives."""

    def __init__(self, each: nn.Module, frames: int, width: int) -> None:
        super().__init__()
        self.each = each
        self.times = nn.Parameter(torch.zeros(frames, 1, width))

    def connect(self, features: Features, asked: Asked | None = None) -> Tokens:
        """What the connector within makes of all frames.

        Raises:
            Misuse: the grid's rows are not so many equal frames.
        """
        (rows, columns), frames = features.grid, len(self.times)
        if rows % frames:
            raise Misuse(f"{rows} rows of tokens are not {frames} equal frames; stack as many")
        clip = features.tokens.unflatten(1, (frames, rows // frames * columns)) + self.times
        timed = Features(clip.flatten(1, 2), features.grid, features.valid)
        return cast(Connects, self.each).connect(timed, asked)

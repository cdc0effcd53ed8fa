"""Frozen in Time's encoder (arXiv 2104.00650): frames and patches, attention apart; one frame is an
image.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase

from chiasm.data.pixels import Pixels
from chiasm.data.views import picture
from chiasm.embedders.contents import Content
from chiasm.embedders.stages.recurrent import Attention
from chiasm.embedders.states import States
from chiasm.errors import Misuse
from chiasm.stream import Modality, Permission


@dataclass(frozen=True, kw_only=True)
class Clips:
    """A class token and frames x patches of up to `frames` frames of `side` x `side` pixels.

    Places in a frame have learned positions, frames too, zero at first. A block, its skip over
    attention from x: t = x + time(LN x), s = x + space(LN t), y = s + mlp(LN s). In both
    attentions the class token reads everything; a patch reads it and its own place in every frame
    (time), or its own frame (space). Time's values start at zero, so that a fresh block is an
    image's; its queries and keys do not, as the release's do: zero, they never receive a gradient.
    """

    patch: int
    hidden: int
    depth: int
    heads: int
    ff_width: int
    frames: int
    side: int
    pixels: Pixels

    @property
    def width(self) -> int:
        return self.hidden

    @property
    def vocabulary(self) -> int | None:
        return None

    @property
    def patches(self) -> int:
        """Of one frame."""
        return (self.side // self.patch) ** 2

    def build(self, words: int | None = None) -> "ClipEncoder":
        return ClipEncoder(self)

    def tokenizer(self) -> PreTrainedTokenizerBase | None:
        return None

    def reader(self, tokenizer: PreTrainedTokenizerBase | None) -> "ClipReader":
        return ClipReader(self.pixels, self.side, most=self.frames)


@dataclass(frozen=True)
class ClipReader:
    """Contents to frames `[item, frame, 3, side, side]`; clips shorter than the longest, or than
    `least`, repeat their last frame.
    """

    pixels: Pixels
    side: int
    most: int
    least: int = 1

    def read(self, contents: Sequence[Content]) -> Any:
        clips = [[one for part in c.parts for one in part.pictures] for c in contents]
        longest = max(self.least, *map(len, clips))
        if longest > self.most:
            raise Misuse(
                f"a clip of {longest} frames given to an encoder of {self.most}; take fewer frames"
            )
        prepared = [
            [self.pixels.prepare(picture(one), self.side) for one in clip] for clip in clips
        ]
        return torch.stack(
            [torch.stack([*clip, *[clip[-1]] * (longest - len(clip))]) for clip in prepared]
        )


class Block(nn.Module):
    """One layer; tokens are [class, frame 1's patches, frame 2's, ...]."""

    def __init__(self, config: Clips) -> None:
        super().__init__()
        width = config.hidden
        self.time, self.space = (Attention(width, config.heads, bias=True) for _ in range(2))
        self.norm_time, self.norm_space, self.norm_mlp = (nn.LayerNorm(width) for _ in range(3))
        self.mlp = nn.Sequential(
            nn.Linear(width, config.ff_width), nn.GELU(), nn.Linear(config.ff_width, width)
        )
        for start in (self.time.v.weight, self.time.v.bias, self.time.o.bias):
            nn.init.zeros_(start)

    def forward(self, x: Float[Tensor, "clip token width"], frames: int) -> Tensor:
        t = x + self._apart(self.time, self.norm_time(x), frames, within=False)
        s = x + self._apart(self.space, self.norm_space(t), frames, within=True)
        return s + self.mlp(self.norm_mlp(s))

    @staticmethod
    def _apart(attention: Attention, x: Tensor, frames: int, *, within: bool) -> Tensor:
        """Attention inside frames, or along places; the class token reads all."""
        first, rest = x[:, :1], x[:, 1:]
        whole = attention(first, x, Permission())
        grid = rest.unflatten(1, (frames, -1))
        groups = grid if within else grid.transpose(1, 2)
        count = groups.shape[1]
        rows = groups.flatten(0, 1)
        heads = first.repeat_interleave(count, 0)
        read = attention(rows, torch.cat([heads, rows], 1), Permission())
        read = read.unflatten(0, (-1, count))
        read = read if within else read.transpose(1, 2)
        return torch.cat([whole, read.flatten(1, 2)], 1)


class ClipEncoder(nn.Module):
    """Frames to states of the class token and of every patch."""

    def __init__(self, config: Clips) -> None:
        super().__init__()
        self.config, width = config, config.hidden
        self.patches = nn.Conv2d(3, width, config.patch, stride=config.patch)
        self.first = nn.Parameter(0.02 * torch.randn(width))
        self.places = nn.Parameter(0.02 * torch.randn(config.patches + 1, width))
        self.times = nn.Parameter(torch.zeros(config.frames, width))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, clips: Float[Tensor, "clip frame 3 side side"]) -> States:
        count, frames = clips.shape[:2]
        maps = self.patches(clips.flatten(0, 1)).flatten(2).transpose(1, 2)
        tokens = maps.unflatten(0, (count, frames)) + self.places[1:]
        tokens = tokens + self.times[:frames, None]
        first = (self.first + self.places[0]).expand(count, 1, -1)
        x = torch.cat([first, tokens.flatten(1, 2)], 1)
        for block in self.blocks:
            x = block(x, frames)
        return States.all_of(self.norm(x), int(Modality.VIDEO))

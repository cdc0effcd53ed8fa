"""A clip as one picture of stacked frames, each of which an image encoder sees alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from jaxtyping import Bool, Float
from torch import Tensor, nn

from chiasm.errors import Misuse
from chiasm.spec import Size, Work
from chiasm.spec.answer import Encoder
from chiasm.stream import Features


@dataclass(frozen=True, kw_only=True)
class FrameStack:
    """`frames` pictures of one size, one above the other; the token grids are stacked likewise.

    Nothing passes between frames here: what mixes them comes after.
    """

    each: Encoder
    frames: int

    @property
    def width(self) -> int:
        return self.each.width

    def grid(self, size: Size) -> tuple[int, int]:
        rows, columns = self.each.grid(self._frame(size))
        return self.frames * rows, columns

    def build(self) -> nn.Module:
        return FrameStackEncoder(self)

    def work(self, size: Size) -> Sequence[Work]:
        return tuple(self.each.work(self._frame(size))) * self.frames

    def _frame(self, size: Size) -> Size:
        if size[0] % self.frames:
            raise ValueError(
                f"a picture of {size[0]} rows of pixels is not {self.frames} equal frames"
            )
        return size[0] // self.frames, size[1]


class FrameStackEncoder(nn.Module):
    """`[clip, 3, frame * y, x]` to features of `[clip, frame * token, width]`."""

    def __init__(self, config: FrameStack) -> None:
        super().__init__()
        self.frames = config.frames
        encoder = config.each.build()
        if encoder is None:
            raise ValueError("a stack of frames needs an encoder of pictures; name one")
        self.each = encoder

    def forward(
        self,
        images: Float[Tensor, "clip 3 y x"],
        image_valid: Bool[Tensor, "clip y x"] | None = None,
    ) -> Features:
        clips, frames = images.shape[0], self.frames
        if image_valid is not None and not bool(image_valid.all()):
            raise Misuse("clips of other sizes cannot share a batch; give all views one size")
        split = images.unflatten(2, (frames, -1)).transpose(1, 2).flatten(0, 1)
        seen = cast(Features, self.each(split, None))

        def joined(tokens: Tensor) -> Tensor:
            return tokens.reshape(clips, frames * tokens.shape[1], tokens.shape[2])

        rows, columns = seen.grid
        taps = tuple(joined(tap) for tap in seen.taps)
        return Features(joined(seen.tokens), (frames * rows, columns), None, taps)


@dataclass(frozen=True, kw_only=True)
class FrameMean:
    """The mean over the frames of a stack, place by place (OneLLM, arXiv 2312.03700)."""

    stack: FrameStack

    @property
    def width(self) -> int:
        return self.stack.width

    def grid(self, size: Size) -> tuple[int, int]:
        rows, columns = self.stack.grid(size)
        return rows // self.stack.frames, columns

    def build(self) -> nn.Module:
        return FrameMeanEncoder(FrameStackEncoder(self.stack), self.stack.frames)

    def work(self, size: Size) -> Sequence[Work]:
        return self.stack.work(size)


class FrameMeanEncoder(nn.Module):
    """`[clip, 3, frame * y, x]` to features of one frame, `[clip, token, width]`."""

    def __init__(self, stack: FrameStackEncoder, frames: int) -> None:
        super().__init__()
        self.stack, self.frames = stack, frames

    def forward(
        self,
        images: Float[Tensor, "clip 3 y x"],
        image_valid: Bool[Tensor, "clip y x"] | None = None,
    ) -> Features:
        seen = cast(Features, self.stack(images, image_valid))
        rows, columns = seen.grid
        tokens = seen.tokens.unflatten(1, (self.frames, -1)).mean(1)
        return Features(tokens, (rows // self.frames, columns))

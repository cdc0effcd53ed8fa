"""Views: how an image is cut and resized, from its size alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import isqrt
from typing import Protocol, runtime_checkable

Size = tuple[int, int]
"""(height, width) in pixels."""


@dataclass(frozen=True)
class View:
    """One picture the encoder sees: a box of the source, resized to `target`."""

    box: tuple[float, float, float, float]
    """(top, left, bottom, right) in fractions of the source; beyond it lies black."""
    target: Size
    kind: str
    unit: int = 0
    """Which frame or tile of the image it is, as the token table says it."""
    tag: str = ""
    """Text that is written before its tokens."""
    close: str = ""
    """Text that is written after its tokens."""


@runtime_checkable
class Views(Protocol):
    """How an image is cut and resized: `plan` is a pure function of sizes.

    `beside` holds the sizes of the sample's other images, in any order; only what shares a budget
    among them looks at it.
    """

    def plan(self, size: Size, beside: Sequence[Size] = ()) -> tuple[View, ...]: ...


WHOLE = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class NoViews:
    """The system looks at nothing."""

    def plan(self, size: Size, beside: Sequence[Size] = ()) -> tuple[View, ...]:
        return ()


@dataclass(frozen=True)
class Fixed:
    """The whole image, squashed (or padded to a square first, by `Pixels.fit`) to one size."""

    height: int
    width: int

    def plan(self, size: Size, beside: Sequence[Size] = ()) -> tuple[View, ...]:
        check(size)
        return (View(WHOLE, (self.height, self.width), "global"),)


@dataclass(frozen=True)
class NativeResolution:
    """The image at its own aspect ratio, its edges between `shortest` and `longest` pixels.

    With `split`, four quarter crops precede the whole image (Idefics2, arXiv 2405.02246). Edges are
    rounded up to a multiple of `multiple` (Pixtral, arXiv 2410.07073).
    """

    longest: int
    shortest: int
    split: bool = False
    multiple: int = 1

    def plan(self, size: Size, beside: Sequence[Size] = ()) -> tuple[View, ...]:
        check(size)
        whole = View(WHOLE, self._fit(size), "native")
        if not self.split:
            return (whole,)
        tiles = tuple(
            View((top, left, bottom, right), self._fit((height, width)), "tile")
            for top, bottom, height in _halves(size[0])
            for left, right, width in _halves(size[1])
        )
        return tuple(replace(view, unit=at) for at, view in enumerate((*tiles, whole)))

    def _fit(self, size: Size) -> Size:
        height, width = size
        aspect = width / height
        if width >= height and width > self.longest:
            width, height = self.longest, int(self.longest / aspect)
        elif height > width and height > self.longest:
            height, width = self.longest, int(self.longest * aspect)
        return self._rounded(height), self._rounded(width)

    def _rounded(self, edge: int) -> int:
        return self.multiple * -(-max(edge, self.shortest) // self.multiple)


@dataclass(frozen=True)
class Frames:
    """A clip as one picture of `count` frames, one above the other: each is a view of its own."""

    count: int
    height: int
    width: int

    def plan(self, size: Size, beside: Sequence[Size] = ()) -> tuple[View, ...]:
        check(size)
        edges = [at / self.count for at in range(self.count + 1)]
        boxes = [(top, 0.0, bottom, 1.0) for top, bottom in pairwise(edges)]
        target = self.height, self.width
        return tuple(View(box, target, "frame", unit=at) for at, box in enumerate(boxes))


@dataclass(frozen=True)
class EqualArea:
    """The image at its own aspect ratio, about `side` x `side` pixels in all; each edge is rounded
    up to a multiple of `multiple` (EVEv2, arXiv 2502.06788).
    """

    side: int
    multiple: int

    def plan(self, size: Size, beside: Sequence[Size] = ()) -> tuple[View, ...]:
        check(size)
        # Integers throughout: ceil(side * sqrt(h / w) / multiple), and the same for w.
        height, width = (
            self.multiple * _ceil_root(self.side**2 * edge, self.multiple**2 * other)
            for edge, other in (size, size[::-1])
        )
        return (View(WHOLE, (height, width), "native"),)


def _ceil_root(numerator: int, denominator: int) -> int:
    """The least integer whose square is at least the quotient."""
    root = isqrt(-(-numerator // denominator))
    return root if root * root * denominator >= numerator else root + 1


def _halves(length: int) -> tuple[tuple[float, float, int], tuple[float, float, int]]:
    """(start, end, pixels) of the two halves of an edge; the second takes the odd pixel."""
    first = length // 2
    return (0.0, 0.5, max(1, first)), (0.5, 1.0, length - first)


@dataclass(frozen=True)
class WholePatches:
    """The image at its own size, its edges rounded up to whole patches; scaled down, aspect kept,
    where that is more than `most` patches (SAIL, arXiv 2504.10462).
    """

    patch: int
    most: int

    def plan(self, size: Size, beside: Sequence[Size] = ()) -> tuple[View, ...]:
        check(size)
        rows, columns = (-(-edge // self.patch) for edge in size)
        if rows * columns > self.most:
            # The largest grid of this aspect within `most`, at least one patch each way.
            lines = min(self.most, max(1, isqrt(self.most * rows // columns)))
            columns = min(self.most // lines, max(1, isqrt(self.most * columns // rows)))
            rows = lines
        return (View(WHOLE, (rows * self.patch, columns * self.patch), "whole"),)


def check(size: Size) -> None:
    """Refuses an image without pixels."""
    if min(size) < 1:
        raise ValueError(f"an image of {size[0]} x {size[1]} pixels has no tokens")

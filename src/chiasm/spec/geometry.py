"""Geometry: how many tokens an image becomes, from its size alone, before any pixel is decoded.

Data, model, cost and server all call `geometry`; there is no second count anywhere.
"""

from dataclasses import dataclass
from math import isqrt
from typing import Protocol, runtime_checkable

Size = tuple[int, int]
"""(height, width) in pixels."""


@dataclass(frozen=True)
class View:
    """One picture the encoder sees: a box of the source, resized to `target`."""

    box: tuple[float, float, float, float]
    """(top, left, bottom, right) in fractions of the source."""
    target: Size
    kind: str


@runtime_checkable
class Views(Protocol):
    """How an image is cut and resized: `plan(size)` is a pure integer function."""

    def plan(self, size: Size) -> tuple[View, ...]: ...


_WHOLE = (0.0, 0.0, 1.0, 1.0)


@dataclass(frozen=True)
class NoViews:
    """The system looks at nothing."""

    def plan(self, size: Size) -> tuple[View, ...]:
        return ()


@dataclass(frozen=True)
class Fixed:
    """The whole image, squashed (or padded to a square first, by `Pixels.fit`) to one size."""

    height: int
    width: int

    def plan(self, size: Size) -> tuple[View, ...]:
        _check(size)
        return (View(_WHOLE, (self.height, self.width), "global"),)


@dataclass(frozen=True)
class NativeResolution:
    """The image at its own aspect ratio, its edges between `shortest` and `longest` pixels.

    With `split`, four quarter crops precede the whole image (Idefics2, arXiv 2405.02246).
    """

    longest: int
    shortest: int
    split: bool = False

    def plan(self, size: Size) -> tuple[View, ...]:
        _check(size)
        whole = View(_WHOLE, self._fit(size), "native")
        if not self.split:
            return (whole,)
        tiles = tuple(
            View((top, left, bottom, right), self._fit((height, width)), "tile")
            for top, bottom, height in _halves(size[0])
            for left, right, width in _halves(size[1])
        )
        return (*tiles, whole)

    def _fit(self, size: Size) -> Size:
        height, width = size
        aspect = width / height
        if width >= height and width > self.longest:
            width, height = self.longest, int(self.longest / aspect)
        elif height > width and height > self.longest:
            height, width = self.longest, int(self.longest * aspect)
        return max(height, self.shortest), max(width, self.shortest)


@dataclass(frozen=True)
class EqualArea:
    """The image at its own aspect ratio, about `side` x `side` pixels in all; each edge is rounded
    up to a multiple of `multiple` (EVEv2, arXiv 2502.06788).
    """

    side: int
    multiple: int

    def plan(self, size: Size) -> tuple[View, ...]:
        _check(size)
        # Integers throughout: ceil(side * sqrt(h / w) / multiple), and the same for w.
        height, width = (
            self.multiple * _ceil_root(self.side**2 * edge, self.multiple**2 * other)
            for edge, other in (size, size[::-1])
        )
        return (View(_WHOLE, (height, width), "native"),)


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

    def plan(self, size: Size) -> tuple[View, ...]:
        _check(size)
        rows, columns = (-(-edge // self.patch) for edge in size)
        if rows * columns > self.most:
            # The largest grid of this aspect within `most`, at least one patch each way.
            lines = min(self.most, max(1, isqrt(self.most * rows // columns)))
            columns = min(self.most // lines, max(1, isqrt(self.most * columns // rows)))
            rows = lines
        return (View(_WHOLE, (rows * self.patch, columns * self.patch), "whole"),)


@dataclass(frozen=True)
class Geometry:
    """What one image becomes: its views, each view's token grid, and the counts that follow."""

    views: tuple[View, ...]
    grids: tuple[tuple[int, int], ...]
    tokens_per_view: tuple[int, ...]
    kept: int
    """Tokens left by compression."""
    placeholders: int
    """Rows the image occupies in the sequence."""

    @property
    def tokens(self) -> int:
        """Connector output tokens over all views: what layers read, where they read a memory."""
        return sum(self.tokens_per_view)


class _Counts(Protocol):
    @property
    def views(self) -> Views: ...
    @property
    def encoder(self) -> "_Grid": ...
    @property
    def connector(self) -> "_Count": ...
    @property
    def compression(self) -> "_Kept": ...
    @property
    def fusion(self) -> "_Placeholders": ...


class _Grid(Protocol):
    def grid(self, size: Size) -> tuple[int, int]: ...


class _Count(Protocol):
    def count(self, grid: tuple[int, int]) -> int: ...


class _Kept(Protocol):
    def count(self, tokens: int) -> int: ...


class _Placeholders(Protocol):
    def placeholders(self, tokens: int) -> int: ...


def geometry(answers: _Counts, size: Size) -> Geometry:
    """Views, grids and token counts of one image of `size` under a system's answers."""
    views = answers.views.plan(size)
    grids = tuple(answers.encoder.grid(view.target) for view in views)
    counts = tuple(answers.connector.count(grid) for grid in grids)
    kept = sum(answers.compression.count(count) for count in counts)
    return Geometry(views, grids, counts, kept, answers.fusion.placeholders(kept))


def _check(size: Size) -> None:
    if min(size) < 1:
        raise ValueError(f"an image of {size[0]} x {size[1]} pixels has no tokens")

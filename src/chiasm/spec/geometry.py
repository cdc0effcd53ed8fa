"""Geometry: how many tokens an image becomes, from its size alone, before any pixel is decoded.

Data, model, cost and server all call `geometry`; there is no second count anywhere.
"""

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
    """(top, left, bottom, right) in fractions of the source."""
    target: Size
    kind: str
    unit: int = 0
    """Which frame or tile of the image it is, as the token table says it."""
    tag: str = ""
    """Text that is written before its tokens."""


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
        return tuple(replace(view, unit=at) for at, view in enumerate((*tiles, whole)))

    def _fit(self, size: Size) -> Size:
        height, width = size
        aspect = width / height
        if width >= height and width > self.longest:
            width, height = self.longest, int(self.longest / aspect)
        elif height > width and height > self.longest:
            height, width = self.longest, int(self.longest * aspect)
        return max(height, self.shortest), max(width, self.shortest)


@dataclass(frozen=True)
class Frames:
    """A clip as one picture of `count` frames, one above the other: each is a view of its own."""

    count: int
    height: int
    width: int

    def plan(self, size: Size) -> tuple[View, ...]:
        _check(size)
        edges = [at / self.count for at in range(self.count + 1)]
        boxes = [(top, 0.0, bottom, 1.0) for top, bottom in pairwise(edges)]
        target = self.height, self.width
        return tuple(View(box, target, "frame", unit=at) for at, box in enumerate(boxes))


@dataclass(frozen=True)
class Tiles:
    """At most `most` square tiles in the grid nearest the image's shape, then the whole image as a
    thumbnail (NVLM, arXiv 2409.11402); each is preceded by its tag, as text, if they are `tagged`
    (InternVL's, arXiv 2404.16821, are not).

    Of grids as near as each other the one with more tiles is taken, if the image has over half of
    the pixels that they hold. Tiles are units 1, 2, …, the thumbnail is unit `most + 1`; an image
    that fills no more than one tile is its thumbnail alone.
    """

    side: int
    most: int
    tagged: bool = True

    def plan(self, size: Size) -> tuple[View, ...]:
        _check(size)
        rows, columns = self._grid(size)
        target = self.side, self.side
        tiles = tuple(
            View(
                (row / rows, column / columns, (row + 1) / rows, (column + 1) / columns),
                target,
                "tile",
                unit=row * columns + column + 1,
                tag=self._tag(f"{row * columns + column + 1}"),
            )
            for row in range(rows)
            for column in range(columns)
        )
        whole = View(_WHOLE, target, "thumbnail", unit=self.most + 1)
        whole = replace(whole, tag=self._tag("global_thumbnail"))
        return (*tiles, whole) if rows * columns > 1 else (whole,)

    def _tag(self, name: str) -> str:
        return f"<tile_{name}>" if self.tagged else ""

    def _grid(self, size: Size) -> tuple[int, int]:
        """Rows and columns of tiles; compared by integers, so that no platform rounds apart."""
        height, width = size
        grids = [
            (rows, columns)
            for rows in range(1, self.most + 1)
            for columns in range(1, self.most // rows + 1)
        ]
        best = grids[0]
        for rows, columns in sorted(grids, key=lambda grid: grid[0] * grid[1]):
            # |width / height - columns / rows|, times height * rows * best rows.
            here = abs(width * rows - columns * height) * best[0]
            there = abs(width * best[0] - best[1] * height) * rows
            roomy = 2 * height * width > self.side**2 * rows * columns
            if here < there or (here == there and roomy):
                best = rows, columns
        return best


@dataclass(frozen=True)
class FittedTiles:
    """The image at its own aspect ratio, as large as a grid of at most `most` square tiles holds
    it; of all grids the one that shows most of its pixels, then the one that wastes least (LLaVA's
    anyres without a thumbnail). Edges are rounded up to whole patches; what the image leaves of the
    tiles is no part of the view.
    """

    side: int
    most: int
    patch: int

    def plan(self, size: Size) -> tuple[View, ...]:
        _check(size)
        grids = (
            (rows, columns)
            for rows in range(1, self.most + 1)
            for columns in range(1, self.most // rows + 1)
        )
        _, (height, width) = max((self._shown(size, grid) for grid in grids), key=lambda s: s[0])
        target = tuple(self.patch * -(-edge // self.patch) for edge in (height, width))
        return (View(_WHOLE, (target[0], target[1]), "tiles"),)

    def _shown(self, size: Size, grid: tuple[int, int]) -> tuple[tuple[int, int], Size]:
        """((pixels shown, minus pixels wasted), size within the grid)."""
        height, width = (edge * self.side for edge in grid)
        area = height * width
        if width * size[0] <= height * size[1]:
            height = max(1, size[0] * width // size[1])
        else:
            width = max(1, size[1] * height // size[0])
        shown = min(height * width, size[0] * size[1])
        return (shown, shown - area), (height, width)


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
    kept_per_view: tuple[int, ...]
    """Tokens left by compression."""
    placeholders: int
    """Rows the image occupies in the sequence; fewer than the kept tokens stand for the last."""

    @property
    def kept(self) -> int:
        """Tokens left by compression, over all views."""
        return sum(self.kept_per_view)

    @property
    def first_source(self) -> int:
        """The kept token that the first of these rows stands for."""
        return max(0, self.kept - self.placeholders)

    @property
    def rows_per_view(self) -> tuple[int, ...]:
        """How many of these rows stand for each view's tokens; spare rows count to the last."""
        left, rows = self.placeholders, list[int]()
        for kept in reversed(self.kept_per_view):
            rows.append(min(left, kept))
            left -= rows[-1]
        rows[:1] = [rows[0] + left] if rows else []
        return tuple(reversed(rows))

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
    kept = tuple(answers.compression.count(count) for count in counts)
    return Geometry(views, grids, counts, kept, answers.fusion.placeholders(sum(kept)))


def _check(size: Size) -> None:
    if min(size) < 1:
        raise ValueError(f"an image of {size[0]} x {size[1]} pixels has no tokens")

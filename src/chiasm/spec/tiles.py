"""Views that cut an image into tiles of one size."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from chiasm.spec.views import WHOLE, Size, View, check

Grid = tuple[int, int]
"""Rows and columns of tiles."""


@dataclass(frozen=True, kw_only=True)
class Tags:
    """Text around the views of an image."""

    open: str = ""
    """Before the first view."""
    tile: str = ""
    """Before each tile; {row} and {column} count from 1."""
    line: str = ""
    """After the last tile of each row."""
    whole: str = ""
    """Before the whole image."""
    close: str = ""
    """After the last view."""


NO_TAGS = Tags()


def grids_within(most: int) -> list[Grid]:
    """Every grid of at most so many tiles."""
    return [
        (rows, columns) for rows in range(1, most + 1) for columns in range(1, most // rows + 1)
    ]


def fitted(size: Size, frame: Size) -> tuple[tuple[int, int], Size]:
    """((source pixels shown, minus pixels of the frame wasted), size at the image's aspect) of an
    image as large as a frame holds it.
    """
    height, width = frame
    area = height * width
    if width * size[0] <= height * size[1]:
        height = max(1, size[0] * width // size[1])
    else:
        width = max(1, size[1] * height // size[0])
    shown = min(height * width, size[0] * size[1])
    return (shown, shown - area), (height, width)


def best_grid(size: Size, grids: Sequence[Grid], side: int) -> tuple[Grid, Size]:
    """The grid of `side x side` tiles that shows most of an image, then wastes least, the first of
    equals (LLaVA's anyres), and the size that the image has in it.
    """

    def merit(grid: Grid) -> tuple[int, int]:
        return fitted(size, (grid[0] * side, grid[1] * side))[0]

    best = max(grids, key=merit)
    return best, fitted(size, (best[0] * side, best[1] * side))[1]


def cut(grid: Grid, side: int, tags: Tags, frame: tuple[float, ...] = WHOLE) -> list[View]:
    """The tiles of a grid over a box of the source, in reading order."""
    (rows, columns), (top, left, bottom, right) = grid, frame
    down, across = (bottom - top) / rows, (right - left) / columns
    return [
        View(
            (
                top + row * down,
                left + column * across,
                top + (row + 1) * down,
                left + (column + 1) * across,
            ),
            (side, side),
            "tile",
            tag=tags.tile.format(row=row + 1, column=column + 1),
            close=tags.line if column + 1 == columns else "",
        )
        for row in range(rows)
        for column in range(columns)
    ]


def whole_image(side: int, tags: Tags) -> View:
    """The whole image, squashed to one tile."""
    return View(WHOLE, (side, side), "global", tag=tags.whole)


def in_order(views: Sequence[View], tags: Tags) -> tuple[View, ...]:
    """The views numbered from 0, with what is written around all of them."""
    last = len(views) - 1
    return tuple(
        replace(
            view,
            unit=at,
            tag=(tags.open if at == 0 else "") + view.tag,
            close=view.close + (tags.close if at == last else ""),
        )
        for at, view in enumerate(views)
    )


def padded_frame(size: Size, frame: Size) -> tuple[float, float, float, float]:
    """The frame's box around an image of `size` in its middle, in fractions of the image."""
    (height, width), (down, across) = size, frame
    top, left = (down - height) // 2, (across - width) // 2
    return -top / height, -left / width, (down - top) / height, (across - left) / width


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

    def plan(self, size: Size, beside: Sequence[Size] = ()) -> tuple[View, ...]:
        check(size)
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
        whole = View(WHOLE, target, "thumbnail", unit=self.most + 1)
        whole = replace(whole, tag=self._tag("global_thumbnail"))
        return (*tiles, whole) if rows * columns > 1 else (whole,)

    def _tag(self, name: str) -> str:
        return f"<tile_{name}>" if self.tagged else ""

    def _grid(self, size: Size) -> tuple[int, int]:
        """Rows and columns of tiles; compared by integers, so that no platform rounds apart."""
        height, width = size
        grids = grids_within(self.most)
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

    def plan(self, size: Size, beside: Sequence[Size] = ()) -> tuple[View, ...]:
        check(size)
        _, inside = best_grid(size, grids_within(self.most), self.side)
        target = tuple(self.patch * -(-edge // self.patch) for edge in inside)
        return (View(WHOLE, (target[0], target[1]), "tiles"),)


@dataclass(frozen=True, kw_only=True)
class GridTiles:
    """The longest edge as `longest` pixels, the other at the image's aspect, both rounded up to
    whole tiles of `side`; then the whole image, squashed, last (SmolVLM, arXiv 2504.05299). Small
    images grow as well. An image of one tile is the whole image alone.
    """

    side: int
    longest: int
    tags: Tags = NO_TAGS

    def plan(self, size: Size, beside: Sequence[Size] = ()) -> tuple[View, ...]:
        check(size)
        rows, columns = (
            max(1, -(-(self.longest * edge // max(size)) // self.side)) for edge in size
        )
        tiles = cut((rows, columns), self.side, self.tags) if rows * columns > 1 else []
        return in_order([*tiles, whole_image(self.side, self.tags)], self.tags)


@dataclass(frozen=True, kw_only=True)
class AnyResolution:
    """The whole image, squashed, first; then the tiles of the best of `grids`, which holds the
    image at its aspect in its middle, black around it (LLaVA-NeXT's anyres; OmChat, arXiv
    2407.04923).
    """

    side: int
    grids: tuple[Grid, ...]
    tags: Tags = NO_TAGS

    def plan(self, size: Size, beside: Sequence[Size] = ()) -> tuple[View, ...]:
        check(size)
        grid, inside = best_grid(size, self.grids, self.side)
        frame = padded_frame(inside, (grid[0] * self.side, grid[1] * self.side))
        tiles = cut(grid, self.side, self.tags, frame)
        return in_order([whole_image(self.side, self.tags), *tiles], self.tags)


@dataclass(frozen=True, kw_only=True)
class Windows:
    """A fixed grid of windows over the squashed image, then the whole image (Monkey, arXiv
    2311.06607; MM1, arXiv 2403.09611).
    """

    side: int
    rows: int
    columns: int

    def plan(self, size: Size, beside: Sequence[Size] = ()) -> tuple[View, ...]:
        check(size)
        windows = cut((self.rows, self.columns), self.side, NO_TAGS)
        return in_order([*windows, whole_image(self.side, NO_TAGS)], NO_TAGS)


@dataclass(frozen=True, kw_only=True)
class SharedBudget:
    """At most `most` views over all images of a sample (Leopard, arXiv 2410.01744).

    An image asks for round(h / side) round(w / side) tiles. With n images, B = most - n tiles are
    left beside the whole images: where more are asked for, each gets the floor of its share. Its
    grid is the best of those with 2 to so many tiles, the image at its aspect in the middle, black
    around it; the whole image, squashed, comes last, alone where there is less than two tiles.
    """

    side: int
    most: int
    tags: Tags = NO_TAGS

    def plan(self, size: Size, beside: Sequence[Size] = ()) -> tuple[View, ...]:
        for each in (size, *beside):
            check(each)
        grids = [g for g in grids_within(self.share(size, beside)) if g != (1, 1)]
        tiles: list[View] = []
        if grids:
            grid, inside = best_grid(size, grids, self.side)
            frame = padded_frame(inside, (grid[0] * self.side, grid[1] * self.side))
            tiles = cut(grid, self.side, self.tags, frame)
        return in_order([*tiles, whole_image(self.side, self.tags)], self.tags)

    def share(self, size: Size, beside: Sequence[Size] = ()) -> int:
        """Most tiles of an image beside others."""
        asked = [self._asked(each) for each in (size, *beside)]
        left = max(0, self.most - len(asked))
        return asked[0] if sum(asked) <= left else asked[0] * left // sum(asked)

    def _asked(self, size: Size) -> int:
        return round(size[0] / self.side) * round(size[1] / self.side)

"""Which row of an image a point in its picture is, from the geometry alone."""

from math import isqrt

from chiasm.data.example import Point
from chiasm.errors import ChiasmError
from chiasm.spec import Geometry


def pointed_row(plan: Geometry, point: Point) -> int:
    """The number of the row, among all of the image's, whose part of the picture holds the point.

    Of several views the first that shows it counts. Raises ChiasmError for a point outside of the
    picture, and for rows that stand for no part of it.
    """
    first = 0
    for view, grid, count in zip(plan.views, plan.grids, plan.rows_per_view, strict=True):
        top, left, bottom, right = view.box
        if count and top <= point.y <= bottom and left <= point.x <= right:
            found = row_grid(grid, count)
            if found is None:
                raise ChiasmError(
                    f"{count} rows of a grid of {grid[0]} x {grid[1]} tokens stand for no parts of "
                    "the picture; point with a connector that keeps the grid, or merges blocks"
                )
            rows, columns = found
            y = min(int((point.y - top) / (bottom - top) * rows), rows - 1)
            x = min(int((point.x - left) / (right - left) * columns), columns - 1)
            return first + y * columns + x
        first += count
    raise ChiasmError(
        f"no row of the image shows the point ({point.y:g}, {point.x:g}); give fractions of the "
        "picture's height and width"
    )


def row_grid(grid: tuple[int, int], count: int) -> tuple[int, int] | None:
    """Lines and columns of `count` rows that each stand for a square block of a grid; None where
    they do not.
    """
    rows, columns = grid
    side = isqrt(rows * columns // count) if count else 0
    fits = side and side * side * count == rows * columns
    return None if not fits or rows % side or columns % side else (rows // side, columns // side)

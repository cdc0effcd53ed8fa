"""Grids to look things up in, step after step; answers point at every cell on the way."""

from dataclasses import dataclass
from random import Random

from PIL import Image, ImageDraw

from chiasm.data.example import Dataset, Example, Point, Turn
from chiasm.data.scene import COLORS, SHAPES, SIDE, Thing, below, ink

CELLS = 4
"""Cells of the grid's edge."""
STEPS = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}
LONGEST = 3
"""Most steps of a question."""
COUNTS = {"train": 8_000, "test": 1_000}
_SEED = 2505
_FINE = 4
"""A picture is drawn so many times larger, and averaged."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A coloured shape in every cell, no two alike, line by line."""

    things: tuple[tuple[str, str], ...]
    """(colour, shape) of each cell."""

    def draw(self) -> Image.Image:
        """The picture; drawn anew at every call, so that a data set holds no pixels."""
        side = SIDE // CELLS
        image = Image.new("RGB", (SIDE * _FINE, SIDE * _FINE), (240,) * 3)
        pen = ImageDraw.Draw(image)
        for number, (color, shape) in enumerate(self.things):
            y, x = (side * part + side // 2 for part in divmod(number, CELLS))
            ink(pen, Thing(shape, color, "small", x, y), _FINE)
        return image.reduce(_FINE)

    def name(self, cell: int) -> str:
        """Colour and shape of a cell."""
        return " ".join(self.things[cell])


def load(split: str, *, seed: int = _SEED, count: int | None = None) -> Dataset:
    """`count` grids with a question of one, of two and of three steps each.

    A function of its arguments alone. Splits draw from different seeds.
    """
    examples: list[Example] = []
    for number in range(COUNTS[split] if count is None else count):
        draw = Random(f"{seed}/{split}/{number}")
        grid = _grid(draw)
        turns = tuple(_lookup(draw, grid, steps) for steps in range(1, LONGEST + 1))
        examples.append(Example(f"lookups/{split}/{number}", (grid,), turns, independent=True))
    return Dataset("lookups", split, tuple(examples))


def _grid(draw: Random) -> Grid:
    names = [(color, shape) for color in COLORS for shape in SHAPES]
    return Grid(tuple(names.pop(below(draw, len(names))) for _ in range(CELLS**2)))


def _lookup(draw: Random, grid: Grid, steps: int) -> Turn:
    """Start at a cell, walk inside the grid, say what stands at the end."""
    cell = below(draw, CELLS**2)
    start, way, words = cell, [cell], list[str]()
    for _ in range(steps):
        y, x = divmod(cell, CELLS)
        open_ = [w for w, (dy, dx) in STEPS.items() if 0 <= y + dy < CELLS and 0 <= x + dx < CELLS]
        words.append(open_[below(draw, len(open_))])
        dy, dx = STEPS[words[-1]]
        cell = (y + dy) * CELLS + x + dx
        way.append(cell)
    points = tuple(
        Point(0, (y + 0.5) / CELLS, (x + 0.5) / CELLS) for y, x in (divmod(c, CELLS) for c in way)
    )
    question = f"from the {grid.name(start)} go {' then '.join(words)}. what is there?"
    return Turn(question, grid.name(cell), points=points)

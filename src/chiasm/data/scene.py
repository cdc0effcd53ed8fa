"""A drawn scene: several shapes of known colour, size and place, and the picture of them."""

from dataclasses import dataclass
from random import Random

from PIL import Image, ImageDraw

SIDE = 64
"""Pixels of a picture's edge."""
COLORS = {
    "red": (214, 39, 40),
    "green": (44, 160, 44),
    "blue": (31, 90, 200),
    "yellow": (240, 200, 20),
    "purple": (148, 60, 190),
    "gray": (110, 110, 110),
}
SHAPES = ("circle", "square", "triangle", "cross")
SIZES = {"small": 5, "large": 9}
"""Half an edge, in pixels."""
APART = 3
"""Pixels by which two centres differ before one is said to be left of, or above, the other."""
_FINE = 4
"""A picture is drawn so many times larger, and averaged."""


@dataclass(frozen=True, slots=True)
class Thing:
    """One shape; (x, y) is its centre in pixels, from the top left."""

    shape: str
    color: str
    size: str
    x: int
    y: int

    @property
    def name(self) -> str:
        """Colour and shape, by which questions speak of it."""
        return f"{self.color} {self.shape}"


@dataclass(frozen=True, slots=True)
class Scene:
    """Shapes that do not touch, no two of one colour and shape, on a light ground."""

    things: tuple[Thing, ...]
    ground: int
    """Gray of the ground, 0 to 255."""

    def draw(self) -> Image.Image:
        """The picture; drawn anew at every call, so that a data set holds no pixels."""
        side = SIDE * _FINE
        image = Image.new("RGB", (side, side), (self.ground,) * 3)
        pen = ImageDraw.Draw(image)
        for thing in self.things:
            ink(pen, thing, _FINE)
        return image.reduce(_FINE)

    def __str__(self) -> str:
        return "; ".join(f"{t.size} {t.name} at ({t.x}, {t.y})" for t in self.things)


def sample_scene(draw: Random) -> Scene:
    """Three to six things, placed at random where they fit.

    Only `Random.random` is used, whose sequence is fixed across Python versions.
    """
    things: list[Thing] = []
    while len(things) < 3:
        things = []
        names = [(shape, color) for shape in SHAPES for color in COLORS]
        for _ in range(3 + below(draw, 4)):
            shape, color = names.pop(below(draw, len(names)))
            size = tuple(SIZES)[below(draw, len(SIZES))]
            spot = _spot(draw, things, SIZES[size])
            if spot is not None:
                things.append(Thing(shape, color, size, *spot))
    return Scene(tuple(things), 225 + below(draw, 26))


def below(draw: Random, count: int) -> int:
    """A whole number from 0 to `count - 1`."""
    return int(draw.random() * count)


def _spot(draw: Random, things: list[Thing], radius: int) -> tuple[int, int] | None:
    """A free place for a shape of this half edge; None if 64 draws found none."""
    for _ in range(64):
        x, y = (radius + 1 + below(draw, SIDE - 2 * radius - 2) for _ in range(2))
        # Boxes two pixels apart never touch, whatever shapes stand in them.
        if all(max(abs(x - t.x), abs(y - t.y)) > radius + SIZES[t.size] + 2 for t in things):
            return x, y
    return None


def ink(pen: ImageDraw.ImageDraw, thing: Thing, fine: int) -> None:
    """Draw a thing on a picture `fine` times as large as its coordinates say."""
    x, y, half = (value * fine for value in (thing.x, thing.y, SIZES[thing.size]))
    color = COLORS[thing.color]
    left, top, right, bottom = x - half, y - half, x + half, y + half
    third = half // 3
    if thing.shape == "circle":
        pen.ellipse((left, top, right, bottom), fill=color)
    elif thing.shape == "square":
        pen.rectangle((left, top, right, bottom), fill=color)
    elif thing.shape == "triangle":
        pen.polygon(((x, top), (right, bottom), (left, bottom)), fill=color)
    else:
        pen.rectangle((left, y - third, right, y + third), fill=color)
        pen.rectangle((x - third, top, x + third, bottom), fill=color)

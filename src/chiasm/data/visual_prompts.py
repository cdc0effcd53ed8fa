"""Regions pointed out by ink: marks of eight shapes, blended into the picture's own pixels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import cos, pi, sin
from random import Random
from types import MappingProxyType

from PIL import Image, ImageDraw

from chiasm.data.scene import below
from chiasm.errors import Misuse

Point = tuple[float, float]
"""(x, y) in pixels, from the top left."""
Outline = Sequence[Point]
"""A region's corners, in order."""
INKS = {
    "pink": (255, 105, 180),
    "orange": (255, 127, 14),
    "cyan": (23, 190, 207),
    "black": (20, 20, 20),
}
_FINE = 4
"""A mark is drawn so many times larger, and averaged."""
_STROKES = 2, 8
"""Thinnest and widest stroke of a picture of 336 pixels, in pixels."""
_OPAQUE, _SHEER = (96, 255), (48, 128)
"""Least and greatest opacity, in 255ths: of strokes, and of a filled region."""


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A mark's shape and ink, the one random seed of its course, its opacity in (0, 1] and its
    stroke in pixels of a picture whose longer edge is 336.
    """

    shape: str
    ink: str
    opacity: float
    stroke: float
    seed: int = 0

    def __post_init__(self) -> None:
        if self.shape not in SHAPES:
            raise Misuse(f"no mark of shape {self.shape!r}; choose {', '.join(SHAPES)}")
        if self.ink not in INKS:
            raise Misuse(f"no ink {self.ink!r}; choose {', '.join(INKS)}")
        if not 0 <= self.opacity <= 1:
            raise Misuse(f"opacity {self.opacity:g} is outside of 0 to 1; give a share")

    @property
    def name(self) -> str:
        """How text speaks of it."""
        return f"{self.ink} {self.shape}"


def sample_mark(draw: Random, *, shape: str | None = None, ink: str | None = None) -> Mark:
    """A mark of random ink, stroke and opacity (ViP-LLaVA, arXiv 2312.00784)."""
    chosen = tuple(SHAPES)[below(draw, len(SHAPES))] if shape is None else shape
    least, most = _SHEER if chosen == "mask" else _OPAQUE
    return Mark(
        shape=chosen,
        ink=tuple(INKS)[below(draw, len(INKS))] if ink is None else ink,
        opacity=(least + below(draw, most - least + 1)) / 255,
        stroke=_STROKES[0] + draw.random() * (_STROKES[1] - _STROKES[0]),
        seed=below(draw, 2**31),
    )


def marked(image: Image.Image, region: Outline, mark: Mark) -> Image.Image:
    """The RGB picture with the mark on it: opacity x ink + (1 - opacity) x picture where it runs.

    Raises:
        Misuse: the region has fewer than three corners.
    """
    if len(region) < 3:
        raise Misuse(f"a region of {len(region)} corners has no inside; give three or more")
    cover = Image.new("L", (image.width * _FINE, image.height * _FINE), 0)
    stroke = max(_FINE, round(mark.stroke * _FINE * max(image.size) / 336))
    corners = [(x * _FINE, y * _FINE) for x, y in region]
    SHAPES[mark.shape](ImageDraw.Draw(cover), corners, stroke, Random(f"mark {mark.seed}"))
    cover = cover.reduce(_FINE).point([round(value * mark.opacity) for value in range(256)])
    return Image.composite(Image.new("RGB", image.size, INKS[mark.ink]), image, cover)


Draws = Callable[[ImageDraw.ImageDraw, Outline, int, Random], None]


def _rectangle(pen: ImageDraw.ImageDraw, region: Outline, stroke: int, draw: Random) -> None:
    pen.rectangle(_box(region), outline=255, width=stroke)


def _ellipse(pen: ImageDraw.ImageDraw, region: Outline, stroke: int, draw: Random) -> None:
    """Through the corners of the region's box."""
    x, y, half_width, half_height = _middle(region)
    wide, high = half_width * 2**0.5, half_height * 2**0.5
    pen.ellipse((x - wide, y - high, x + wide, y + high), outline=255, width=stroke)


def _point(pen: ImageDraw.ImageDraw, region: Outline, stroke: int, draw: Random) -> None:
    x, y, _, _ = _middle(region)
    pen.ellipse((x - stroke, y - stroke, x + stroke, y + stroke), fill=255)


def _triangle(pen: ImageDraw.ImageDraw, region: Outline, stroke: int, draw: Random) -> None:
    """The upright one of twice the box's width and height that holds the box."""
    x, y, half_width, half_height = _middle(region)
    foot = y + half_height
    corners = [(x - 2 * half_width, foot), (x, foot - 4 * half_height), (x + 2 * half_width, foot)]
    _contour(pen, corners, stroke, draw)


def _mask(pen: ImageDraw.ImageDraw, region: Outline, stroke: int, draw: Random) -> None:
    pen.polygon(list(region), fill=255)


def _contour(pen: ImageDraw.ImageDraw, region: Outline, stroke: int, draw: Random) -> None:
    pen.line([*region, *region[:2]], fill=255, width=stroke, joint="curve")


def _arrow(pen: ImageDraw.ImageDraw, region: Outline, stroke: int, draw: Random) -> None:
    """From a random side; its tip is the middle of the region."""
    x, y, half_width, half_height = _middle(region)
    angle, length = 2 * pi * draw.random(), 2.5 * max(half_width, half_height)
    tail = (x + length * cos(angle), y + length * sin(angle))
    pen.line([tail, (x, y)], fill=255, width=stroke)
    barbs = [
        (x + length / 3 * cos(angle + turn), y + length / 3 * sin(angle + turn))
        for turn in (-pi / 7, pi / 7)
    ]
    pen.polygon([(x, y), *barbs], fill=255)


def _scribble(pen: ImageDraw.ImageDraw, region: Outline, stroke: int, draw: Random) -> None:
    """A quadratic curve through random places of the box, four arcs long."""
    left, top, right, bottom = _box(region)
    knots = [
        (left + draw.random() * (right - left), top + draw.random() * (bottom - top))
        for _ in range(9)
    ]
    path: list[Point] = []
    for start in range(0, 8, 2):
        a, b, c = knots[start : start + 3]
        for step in range(9):
            t = step / 8
            weights = (1 - t) ** 2, 2 * t * (1 - t), t**2
            path.append(
                (
                    sum(w * knot[0] for w, knot in zip(weights, (a, b, c), strict=True)),
                    sum(w * knot[1] for w, knot in zip(weights, (a, b, c), strict=True)),
                )
            )
    pen.line(path, fill=255, width=stroke, joint="curve")


SHAPES: Mapping[str, Draws] = MappingProxyType(
    {
        "rectangle": _rectangle,
        "ellipse": _ellipse,
        "point": _point,
        "triangle": _triangle,
        "mask": _mask,
        "contour": _contour,
        "arrow": _arrow,
        "scribble": _scribble,
    }
)
"""How each shape is drawn: (pen, region, stroke, random numbers)."""


def _box(region: Outline) -> tuple[float, float, float, float]:
    """(left, top, right, bottom)."""
    across, down = ([corner[axis] for corner in region] for axis in range(2))
    return min(across), min(down), max(across), max(down)


def _middle(region: Outline) -> tuple[float, float, float, float]:
    """(x, y, half width, half height) of the region's box."""
    left, top, right, bottom = _box(region)
    return (left + right) / 2, (top + bottom) / 2, (right - left) / 2, (bottom - top) / 2

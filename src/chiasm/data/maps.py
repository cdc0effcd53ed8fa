"""Maps with two regions in colour, each told by its name: where they lie, and whether they touch.

A region's colour in the file is its label, so the picture shows all regions alike but for two.
"""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random

import numpy as np
from PIL import Image

from chiasm import weights
from chiasm.data.example import Dataset, Example, Turn
from chiasm.data.pairs.pair import split_of
from chiasm.data.scene import below

PACKAGE = "maps"
NAME = "maps"
DRAWN = {"train": 24, "test": 8}
"""Pictures of a map."""
RED, BLUE, LAND = (214, 39, 40), (31, 90, 200), (215, 215, 205)
_LONGEST = 448
"""Pixels of a picture's longer edge, at most."""
_LEAST = 0.004
"""Of a picture's area: smaller regions are not asked about."""
_APART = 0.08
"""Of a picture's edge, by which two middles differ before one is said to be further north."""
_NEAR = 6
"""Pixels across a border that has a line of its own."""
_EVERY = 2
"""Regions are measured on every second pixel of every second row."""
_COLOR = ("red", "green", "blue")
_WAYS = {"north": (1, -1), "south": (1, 1), "west": (0, -1), "east": (0, 1)}


@dataclass(frozen=True, slots=True)
class Region:
    """A named part of a map: its colour in the file, and its middle and area as fractions."""

    name: str
    code: int
    x: float
    y: float
    area: float


@dataclass(frozen=True, slots=True)
class MarkedMap:
    """A map with one region in red and one in blue."""

    path: Path
    land: frozenset[int]
    """Colours of all regions."""
    red: Region
    blue: Region

    def draw(self) -> Image.Image:
        """The picture; drawn anew at every call."""
        codes = _codes(self.path)
        pixels = np.repeat((codes & 255).astype(np.uint8)[..., None], 3, -1)
        pixels[np.isin(codes, list(self.land))] = LAND
        for region, ink in ((self.red, RED), (self.blue, BLUE)):
            pixels[codes == region.code] = ink
        image = Image.fromarray(pixels)
        image.thumbnail((_LONGEST, _LONGEST))
        return image


@dataclass(frozen=True)
class Plan:
    """What is known of a map: its picture, its regions, which of them touch."""

    picture: Path
    land: frozenset[int]
    regions: tuple[Region, ...]
    touching: frozenset[tuple[int, int]]
    """Colours in the file, both ways round."""


def load(split: str, *, seed: int = 4099) -> Dataset:
    """Pictures and three questions of each; a fifth of the maps is held out by name."""
    paths = sorted(weights.path(PACKAGE).glob("*.kgm"))
    plans = [read(path) for path in paths if split_of(path.stem) == split]
    examples = [one for plan in plans for one in _asked(plan, DRAWN[split], seed)]
    return Dataset(NAME, split, tuple(examples))


def _asked(plan: Plan, count: int, seed: int) -> Iterator[Example]:
    large = [region for region in plan.regions if region.area >= _LEAST]
    name = plan.picture.stem
    for number in range(count if len(large) > 1 else 0):
        draw = Random(f"{seed}/{name}/{number}")
        red, blue = _two(draw, large, plan.touching)
        told = f"Do {red.name} (red) and {blue.name} (blue) touch?"
        touch = Turn(told, "yes" if (red.code, blue.code) in plan.touching else "no")
        turns = (*_places(draw, red, blue), touch)
        drawn = MarkedMap(plan.picture, plan.land, red, blue)
        yield Example(f"{NAME}/{name}/{number}", (drawn,), turns, independent=True)


def _two(
    draw: Random, regions: list[Region], touching: frozenset[tuple[int, int]]
) -> tuple[Region, Region]:
    """Two regions; every second time, where there are such, two that touch."""
    pairs = [(a, b) for a in regions for b in regions if a is not b]
    wanted = draw.random() < 0.5
    fit = [(a, b) for a, b in pairs if ((a.code, b.code) in touching) == wanted] or pairs
    return fit[below(draw, len(fit))]


def _places(draw: Random, red: Region, blue: Region) -> list[Turn]:
    told = f"{red.name} is red, {blue.name} is blue."
    found: list[Turn] = []
    ways = [
        w for w, (axis, _) in _WAYS.items() if abs(_along(red, axis) - _along(blue, axis)) >= _APART
    ]
    if ways:
        way = ways[below(draw, len(ways))]
        axis, sign = _WAYS[way]
        first = sign * (_along(red, axis) - _along(blue, axis)) > 0
        answer = red.name if first else blue.name
        found.append(Turn(f"{told} Which of them lies further {way}?", answer))
        found.append(
            Turn(
                f"Which region lies further {way}, the red or the blue one?",
                "red" if first else "blue",
            )
        )
    return found


def _along(region: Region, axis: int) -> float:
    return region.y if axis else region.x


@cache
def read(path: Path) -> Plan:
    """A map by its description."""
    tree = ElementTree.parse(path)
    picture = path.parent / (tree.findtext("mapFile") or "").strip()
    named: dict[int, str] = {}
    for division in tree.iter("division"):
        if (division.findtext("ignore") or "").strip() != "yes":
            red, green, blue = (int(division.findtext(f"color/{c}") or 0) for c in _COLOR)
            named[red << 16 | green << 8 | blue] = (division.findtext("name") or "").strip()
    small = _codes(picture)[::_EVERY, ::_EVERY]
    colors, flat = np.unique(small, return_inverse=True)
    at = flat.reshape(small.shape)
    counts = np.bincount(flat.ravel(), minlength=len(colors))
    rows, columns = np.indices(small.shape)
    middles = [
        np.bincount(flat.ravel(), along.ravel(), len(colors)) / counts / size
        for along, size in ((columns, small.shape[1]), (rows, small.shape[0]))
    ]
    regions = tuple(
        Region(named[int(code)], int(code), float(x), float(y), float(count / small.size))
        for code, x, y, count in zip(colors, *middles, counts, strict=True)
        if named.get(int(code))
    )
    near = {
        (int(colors[one]), int(colors[other]))
        for one, other in np.argwhere(_neighbours(at, len(colors)))
    }
    return Plan(picture, frozenset(named), regions, frozenset(near))


def _neighbours(at: np.ndarray, count: int) -> np.ndarray:
    """[colour, colour]: whether a few pixels along a row or a column lead from one to the other."""
    near = np.zeros(count * count, bool)
    for step in range(1, _NEAR // _EVERY + 1):
        for a, b in ((at[step:], at[:-step]), (at[:, step:], at[:, :-step])):
            near |= np.bincount((a * count + b).ravel(), minlength=count * count) > 0
    met = near.reshape(count, count)
    return met | met.T


def _codes(path: Path) -> np.ndarray:
    """Every pixel's colour as one number."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGBA").convert("RGB")).astype(np.int32)
    return pixels[..., 0] << 16 | pixels[..., 1] << 8 | pixels[..., 2]

"""Two regions of a map: what is said of them is what the picture shows."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from chiasm import weights
from chiasm.data import load, maps
from chiasm.data.maps import BLUE, RED, MarkedMap, read

TEST = load("maps", "test")


def middle(image: Image.Image, ink: tuple[int, int, int]) -> tuple[float, float]:
    """Row and column of the pixels of a colour, as fractions."""
    pixels = np.asarray(image).astype(int)
    rows, columns = np.nonzero((np.abs(pixels - ink) < 12).all(-1))
    assert len(rows), "the colour is not in the picture"
    return rows.mean() / pixels.shape[0], columns.mean() / pixels.shape[1]


def test_a_fifth_of_the_maps_is_held_out_whole() -> None:
    held, taught = (
        {example.id.split("/")[1] for example in load("maps", split)} for split in ("test", "train")
    )
    assert not held & taught
    assert len(held | taught) > 150 and 0.1 < len(held) / len(held | taught) < 0.3


@pytest.mark.parametrize("number", range(0, len(TEST), 13))
def test_the_further_region_is_further_in_the_picture(number: int) -> None:
    example = TEST[number]
    drawing = example.images[0]
    assert isinstance(drawing, MarkedMap)
    image = drawing.draw()
    assert max(image.size) <= 448
    red, blue = middle(image, RED), middle(image, BLUE)
    for turn in example.turns[:-1]:
        way = next(w for w in ("north", "south", "west", "east") if f"further {w}" in turn.question)
        axis = 0 if way in ("north", "south") else 1
        sign = 1 if way in ("south", "east") else -1
        first = sign * (red[axis] - blue[axis]) > 0
        expected = ("red", drawing.red.name) if first else ("blue", drawing.blue.name)
        assert turn.answer in expected


def test_answers_do_not_lean() -> None:
    answers = [turn.answer for example in TEST for turn in example.turns]
    for one, other in (("yes", "no"), ("red", "blue")):
        share = answers.count(one) / (answers.count(one) + answers.count(other))
        assert 0.4 < share < 0.6


def test_neighbours_of_a_known_map() -> None:
    plan = read(weights.path(maps.PACKAGE) / "southamerica.kgm")
    codes = {region.name: region.code for region in plan.regions}

    def touch(one: str, other: str) -> bool:
        assert ((codes[one], codes[other]) in plan.touching) == (
            (codes[other], codes[one]) in plan.touching
        )
        return (codes[one], codes[other]) in plan.touching

    assert touch("Brazil", "Peru") and touch("Chile", "Argentina")
    assert not touch("Brazil", "Chile") and not touch("Ecuador", "Bolivia")


def test_colours_next_to_each_other_and_apart(tmp_path: Path) -> None:
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[:, :20], pixels[:, 22:40], pixels[:, 50:] = (10, 1, 1), (20, 2, 2), (30, 3, 3)
    Image.fromarray(pixels).save(tmp_path / "flat.png")
    rows = "".join(
        f"<division><name>{n}</name><color><red>{r}</red><green>{g}</green><blue>{g}</blue></color>"
        "</division>"
        for n, r, g in (("A", 10, 1), ("B", 20, 2), ("C", 30, 3))
    )
    (tmp_path / "flat.kgm").write_text(f"<map><mapFile>flat.png</mapFile>{rows}</map>")
    plan = read(tmp_path / "flat.kgm")
    a, b, c = sorted(plan.regions, key=lambda region: region.name)
    assert (a.code, b.code) in plan.touching and (b.code, c.code) not in plan.touching
    assert a.area == pytest.approx(1 / 3) and a.y == pytest.approx(0.5, abs=0.03)
    assert a.x < b.x < c.x

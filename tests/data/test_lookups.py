"""Generated lookups: answers are true, points fall on the cells of the way."""

from collections import Counter

import numpy as np
import pytest

from chiasm.data import load, lookups
from chiasm.data.lookups import CELLS, STEPS, Grid
from chiasm.data.scene import COLORS, SIDE


def cell_of(point) -> int:
    return int(point.y * CELLS) * CELLS + int(point.x * CELLS)


def test_answers_are_what_a_walk_finds():
    for example in lookups.load("train", count=60):
        [grid] = example.images
        assert isinstance(grid, Grid) and len(set(grid.things)) == CELLS**2
        assert [len(turn.points) for turn in example.turns] == [2, 3, 4]
        for turn in example.turns:
            start, walk = turn.question.removeprefix("from the ").split(" go ")
            at = [grid.name(cell) for cell in range(CELLS**2)].index(start)
            way = [at]
            for word in walk.split(".")[0].split(" then "):
                y, x = divmod(at, CELLS)
                y, x = y + STEPS[word][0], x + STEPS[word][1]
                assert 0 <= y < CELLS and 0 <= x < CELLS
                at = y * CELLS + x
                way.append(at)
            assert [cell_of(point) for point in turn.points] == way
            assert turn.answer == grid.name(at)


def test_each_cell_shows_its_colour_alone():
    [example] = lookups.load("test", count=1)
    pixels, side = np.asarray(example.images[0].draw()), SIDE // CELLS
    assert pixels.shape == (SIDE, SIDE, 3)
    for cell, (color, _) in enumerate(example.images[0].things):
        y, x = (side * part for part in divmod(cell, CELLS))
        inside = pixels[y : y + side, x : x + side].reshape(-1, 3)
        counted = Counter(map(tuple, inside.tolist()))
        assert counted[COLORS[color]] > 20
        assert not any(counted[other] for name, other in COLORS.items() if name != color)


def test_no_answer_is_much_likelier_and_splits_differ():
    train, test = lookups.load("train", count=400), lookups.load("test", count=400)
    said = Counter(turn.answer for example in train for turn in example.turns)
    assert len(said) == 24 and max(said.values()) < 2 * sum(said.values()) / 24
    assert not {e.images[0] for e in train} & {e.images[0] for e in test}
    assert lookups.load("train", count=3).examples == train.examples[:3]


@pytest.mark.parametrize("split", ["train", "test"])
def test_it_is_a_data_set_by_name(split):
    assert len(load("lookups", split)) == lookups.COUNTS[split]

"""A change says what its two pictures differ in; a film runs both ways."""

import itertools
from collections import Counter

import numpy as np

from chiasm.data import changed_scenes, moving_scenes
from chiasm.data.scene import SIDE, SIZES, Scene, Thing


def names(scene: Scene) -> Counter[str]:
    return Counter(f"{t.size} {t.name} {t.x} {t.y}" for t in scene.things)


def ends(scene: Scene) -> tuple[Thing, Thing]:
    ordered = sorted(scene.things, key=lambda t: t.x)
    return ordered[0], ordered[-1]


def test_the_words_say_what_changed() -> None:
    for pair in changed_scenes.pairs("test", count=97):
        lost, won = (
            names(pair.before) - names(pair.picture),
            names(pair.picture) - names(pair.before),
        )
        (left, right), (new_left, new_right) = ends(pair.before), ends(pair.picture)
        if pair.change.startswith("the leftmost thing turns "):
            assert new_left.color == pair.change.split()[-1] != left.color
            assert len(lost) == len(won) == 1
        elif "swap" in pair.change:
            assert (new_left.color, new_right.color) == (right.color, left.color)
            assert len(lost) == len(won) == 2
        elif pair.change.endswith("gets smaller"):
            [was], [now] = lost, won
            assert was.replace("large", "small") == now and was != now
            assert " ".join(was.split()[1:3]) == pair.concept
        else:
            assert pair.change == f"the {pair.concept} goes away"
            assert len(lost) == 1 and not won
        assert len({t.name for t in pair.picture.things}) == len(pair.picture.things)
        assert not np.array_equal(np.asarray(pair.before.draw()), np.asarray(pair.picture.draw()))


def test_neither_the_picture_nor_the_words_tell_the_target() -> None:
    pairs = changed_scenes.pairs("test", count=53)
    assert len(pairs) == 4 * 53
    assert set(Counter(pair.before for pair in pairs).values()) == {4}
    assert max(Counter(pair.change for pair in pairs).values()) == 53
    assert len({pair.picture for pair in pairs}) == len(pairs)


def test_films_move_one_thing_and_come_in_both_directions() -> None:
    films = moving_scenes.pairs("test", count=61)
    for film, back in zip(films[::2], films[1::2], strict=True):
        assert film.frames == back.frames[::-1]
        assert film.concept == back.concept and film.told != back.told
        for one in (film, back):
            moved = [next(t for t in f.things if t.name == one.concept) for f in one.frames]
            steps = {(b.x - a.x, b.y - a.y) for a, b in itertools.pairwise(moved)}
            [(x, y)] = steps
            ways = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
            assert (x, y) == tuple(moving_scenes.STEP * d for d in ways[one.told.split()[4]])
            assert all(
                SIZES[t.size] < at < SIDE - SIZES[t.size] for t in moved for at in (t.x, t.y)
            )


def test_splits_share_no_scene_and_a_count_is_a_beginning() -> None:
    for made in (changed_scenes, moving_scenes):
        assert (
            made.pairs("test", count=5)
            == made.pairs("test", count=11)[: len(made.pairs("test", count=5))]
        )
        taught = {pair.picture for pair in made.pairs("train", count=200)}
        assert not taught & {pair.picture for pair in made.pairs("test", count=100)}

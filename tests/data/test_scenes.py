"""Generated scenes: every answer is true of the picture, and the words alone give none away."""

import hashlib
from collections import Counter
from random import Random

import numpy as np
import pytest

from chiasm.data import load, scenes
from chiasm.data.example import Drawing, Turn
from chiasm.data.scene import COLORS, SHAPES, SIDE, SIZES, Scene, Thing, sample_scene
from chiasm.data.scene_questions import KINDS, RELATIONS, caption
from chiasm.data.views import picture

COUNT = 1200
kinds = pytest.mark.parametrize("kind", KINDS)
GIVEN = Scene(
    (
        Thing("circle", "red", "large", 12, 13),
        Thing("square", "blue", "small", 40, 15),
        Thing("circle", "gray", "small", 41, 50),
    ),
    240,
)


def seen(scene: Scene) -> dict[str, int]:
    """Pixels of every ink, as the picture shows them."""
    pixels = np.asarray(scene.draw()).reshape(-1, 3)
    return {name: int((pixels == ink).all(1).sum()) for name, ink in COLORS.items()}


def test_the_picture_shows_the_things() -> None:
    draw = Random("picture")
    for _ in range(20):
        scene = sample_scene(draw)
        assert 3 <= len(scene.things) <= 6
        assert {name for name, count in seen(scene).items() if count} == {
            thing.color for thing in scene.things
        }
        pixels = np.asarray(scene.draw())
        assert pixels.shape == (SIDE, SIDE, 3)
        for thing in scene.things:
            near = pixels[thing.y, thing.x]
            assert tuple(near) == COLORS[thing.color], scene
            away = pixels[thing.y, min(thing.x + SIZES[thing.size] + 1, SIDE - 1)]
            assert tuple(away) == (scene.ground,) * 3, scene


def test_areas_tell_shapes_and_sizes_apart() -> None:
    def area(shape: str, size: str) -> int:
        return seen(Scene((Thing(shape, "red", size, 30, 31),), 230))["red"]

    areas = [area(s, z) for z in ("small", "large") for s in ("triangle", "cross", "circle")]
    assert len(set(areas)) == len(areas)
    assert area("square", "large") == pytest.approx(18**2, rel=0.1)
    assert area("circle", "large") == pytest.approx(3.1416 * 9**2, rel=0.2)


def true(turn: Turn, scene: Scene) -> str:
    """The answer, read off the question's words and the scene alone."""
    words = turn.question.rstrip("?").split()
    things = list(scene.things)
    named = {t.name: t for t in things}

    def having(*said: str) -> list[Thing]:
        one = {f"{s}es" if s == "cross" else f"{s}s": s for s in SHAPES}
        keep = [one.get(word, word) for word in said]
        return [t for t in things if all(w in (t.shape, t.color, t.size) for w in keep)]

    if words[:2] == ["what", "color"] and words[-1] == "thing":
        key = {
            "leftmost": lambda t: t.x,
            "rightmost": lambda t: -t.x,
            "topmost": lambda t: t.y,
            "bottommost": lambda t: -t.y,
        }[words[4]]
        return min(things, key=key).color
    if words[:2] == ["what", "color"]:
        [thing] = having(*words[4:])
        return thing.color
    if words[:2] == ["what", "shape"]:
        [thing] = having(*words[4:-1])
        return thing.shape
    if words[:2] == ["what", "size"]:
        return named[" ".join(words[4:])].size
    if words[0] == "how":
        return str(len(having(*[w for w in words[2:-2] if w != "things"])))
    if words[:2] == ["is", "there"]:
        return "yes" if " ".join(words[3:]) in named else "no"
    if words[0] == "are":
        return "yes" if len(having(words[3])) > len(having(words[5])) else "no"
    first, second = named[" ".join(words[2:4])], named[" ".join(words[-2:])]
    relation = words[4]
    return (
        "yes"
        if {
            "left": first.x < second.x,
            "right": first.x > second.x,
            "above": first.y < second.y,
            "below": first.y > second.y,
            "larger": SIZES[first.size] > SIZES[second.size],
        }[relation]
        else "no"
    )


@kinds
def test_every_answer_is_true(kind: str) -> None:
    data = scenes.load("train", kinds=(kind,), count=COUNT)
    asked = [(turn, example.images[0]) for example in data for turn in example.turns]
    assert len(asked) > COUNT // 2
    for turn, scene in asked:
        assert isinstance(scene, Scene)
        assert true(turn, scene) == turn.answer, (turn, scene)


@kinds
def test_no_answer_of_a_kind_is_much_likelier(kind: str) -> None:
    data = scenes.load("train", kinds=(kind,), count=COUNT)
    answers = Counter(turn.answer for example in data for turn in example.turns)
    assert max(answers.values()) / answers.total() < 1.3 / len(answers)


@kinds
def test_the_words_alone_do_not_give_the_answer_away(kind: str) -> None:
    """The most frequent answer to each question, learnt on one split and asked on the other."""
    train, test = (scenes.load(s, kinds=(kind,), count=COUNT) for s in scenes.SPLITS)
    known: dict[str, Counter[str]] = {}
    for example in train:
        for turn in example.turns:
            known.setdefault(turn.question, Counter())[turn.answer] += 1
    right = [
        known[turn.question].most_common(1)[0][0] == turn.answer
        for example in test
        for turn in example.turns
        if turn.question in known
    ]
    answers = {turn.answer for example in train for turn in example.turns}
    # Sizes are counted higher than colours, so the count of a kind of thing can be half guessed.
    slack = 0.2 if kind == "count" else 0.08
    assert sum(right) / len(right) < 1 / len(answers) + slack


def test_splits_and_seeds_share_no_scene() -> None:
    def pictures(split: str, seed: int = 2103) -> set[bytes]:
        return {
            hashlib.sha256(picture(e.images[0]).tobytes()).digest()
            for e in scenes.load(split, seed=seed, count=100)
        }

    sets = [pictures("train"), pictures("test"), pictures("train", 5)]
    assert len(set.union(*sets)) == 300


def test_a_split_is_a_function_of_its_seed() -> None:
    assert scenes.load("test", count=50).examples == scenes.load("test", count=50).examples
    longer = scenes.load("test", count=53)
    assert longer[:50] == scenes.load("test", count=50).examples
    first = longer[0]
    said = f"{first.images[0]}|{'|'.join(t.question + t.answer for t in first.turns)}"
    assert hashlib.sha256(said.encode()).hexdigest()[:16] == "aaaf33ba9dc0f7ff"


def test_by_name() -> None:
    data = load("scenes-relations", "test")
    assert (data.name, data.split, len(data)) == ("scenes-relations", "test", 1000)
    assert data[0].id == "scenes-relations/test/0"
    assert max(len(example.turns) for example in data) == len(RELATIONS)
    assert all(isinstance(example.images[0], Drawing) for example in data)


def test_captions() -> None:
    assert caption(GIVEN) == "a large red circle, a small blue square and a small gray circle"
    pairs = zip(scenes.captions("train", count=20), scenes.load("train", count=20), strict=True)
    for said, asked in pairs:
        assert said.images == asked.images
        [turn] = said.turns
        scene = said.images[0]
        assert isinstance(scene, Scene)
        for thing in scene.things:
            assert f"a {thing.size} {thing.name}" in turn.answer

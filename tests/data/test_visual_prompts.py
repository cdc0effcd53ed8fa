"""Marks: ink blends as the equation says, stays near its region, and is spoken of by name."""

from collections import Counter
from random import Random

import numpy as np
import pytest
from PIL import Image

from chiasm.data import load
from chiasm.data.marked_scenes import MarkedScene, outline
from chiasm.data.scene import SIDE
from chiasm.data.visual_prompts import INKS, SHAPES, Mark, marked, sample_mark
from chiasm.errors import Misuse

shapes = pytest.mark.parametrize("shape", SHAPES)
BOX = [(40.0, 60.0), (100.0, 60.0), (100.0, 120.0), (40.0, 120.0)]
GROUND = (200, 210, 220)


def drawn(mark: Mark, side: int = 168) -> np.ndarray:
    image = Image.new("RGB", (side, side), GROUND)
    return np.asarray(marked(image, BOX, mark)).astype(float)


@shapes
@pytest.mark.parametrize("opacity", [0.25, 1.0])
def test_ink_is_blended_and_nothing_else_changes(shape: str, opacity: float) -> None:
    pixels = drawn(Mark(shape=shape, ink="orange", opacity=opacity, stroke=6.0, seed=3))
    ink, ground = np.array(INKS["orange"], float), np.array(GROUND, float)
    share = (pixels - ground) @ (ink - ground) / ((ink - ground) @ (ink - ground))
    assert abs(share.max() - opacity) < 0.01 and share.min() > -0.01
    np.testing.assert_allclose(pixels, ground + share[..., None] * (ink - ground), atol=1.5)
    untouched = (pixels == ground).all(-1)
    assert 0.5 < untouched.mean() < 1.0


@shapes
def test_a_mark_lies_on_its_region(shape: str) -> None:
    """Its middle is within the region's box grown by the box's own size; an arrow comes from
    farther away, and its tip is the region's middle.
    """
    for seed in range(5):
        pixels = drawn(Mark(shape=shape, ink="black", opacity=1.0, stroke=4.0, seed=seed))
        down, across = np.nonzero((pixels != np.array(GROUND)).any(-1))
        assert ((down > 0).all() and (across > 0).all()) or shape in ("arrow", "triangle")
        if shape == "arrow":
            assert np.hypot(down - 90, across - 70).min() < 2
        else:
            assert 40 <= across.mean() <= 100 and 55 <= down.mean() <= 125


def test_strokes_grow_with_the_picture() -> None:
    mark = Mark(shape="rectangle", ink="black", opacity=1.0, stroke=8.0)
    thin, wide = (
        (drawn(mark, side)[90, :80] != np.array(GROUND)).any(-1).sum() for side in (168, 336)
    )
    assert (thin, wide) == (4, 8)


def test_marks_are_drawn_from_the_papers_ranges() -> None:
    draw = Random(1)
    made = [sample_mark(draw) for _ in range(600)]
    assert {mark.shape for mark in made} == set(SHAPES)
    assert {mark.ink for mark in made} == set(INKS)
    assert all(2.0 <= mark.stroke <= 8.0 for mark in made)
    sheer = [m.opacity * 255 for m in made if m.shape == "mask"]
    opaque = [m.opacity * 255 for m in made if m.shape != "mask"]
    assert 48 <= min(sheer) < 60 and 116 < max(sheer) <= 128
    assert 96 <= min(opaque) < 105 and 245 < max(opaque) <= 255


def test_impossible_marks_are_refused() -> None:
    given = dict(shape="mask", ink="pink", opacity=0.5, stroke=2.0)
    for changed, said in (
        (dict(shape="star"), "rectangle"),
        (dict(ink="beige"), "pink, orange"),
        (dict(opacity=1.5), "1.5"),
    ):
        with pytest.raises(Misuse, match=said):
            Mark(**{**given, **changed})
    with pytest.raises(Misuse, match="2 corners"):
        marked(Image.new("RGB", (9, 9)), BOX[:2], Mark(**given))


def test_a_question_names_one_mark_and_its_thing_answers() -> None:
    data = load("scenes-marked", "test")
    assert len(data) == 1000
    answers = Counter()
    for example in data[:300]:
        shown = example.images[0]
        assert isinstance(shown, MarkedScene)
        (asked, one), (other, two) = shown.marks
        assert asked != other and one.shape != two.shape and one.ink != two.ink
        thing = shown.scene.things[asked]
        assert [turn.answer for turn in example.turns] == [thing.color, thing.shape, thing.size]
        for turn in example.turns:
            assert one.name in turn.question and two.name not in turn.question
        answers[thing.color] += 1
    assert max(answers.values()) / 300 < 0.25


def test_marks_change_the_scene_near_their_things() -> None:
    for example in load("scenes-marked", "test")[:20]:
        shown = example.images[0]
        assert isinstance(shown, MarkedScene)
        pixels, clean = (np.asarray(one.draw()) for one in (shown, shown.scene))
        assert pixels.shape == (SIDE, SIDE, 3)
        for place, _ in shown.marks:
            thing = shown.scene.things[place]
            near = (pixels != clean)[
                max(0, thing.y - 22) : thing.y + 23, max(0, thing.x - 22) : thing.x + 23
            ]
            assert near.any()


def test_outlines_hold_their_things_pixels() -> None:
    for example in load("scenes-marked", "test")[:30]:
        shown = example.images[0]
        assert isinstance(shown, MarkedScene)
        for thing in shown.scene.things:
            cover = Image.new("RGB", (SIDE, SIDE))
            mask = Mark(shape="mask", ink="pink", opacity=1.0, stroke=2.0)
            inside = np.asarray(marked(cover, outline(thing), mark=mask)).any(-1)
            drawn_alone = type(shown.scene)((thing,), 240).draw()
            thing_pixels = (np.asarray(drawn_alone) != 240).any(-1)
            apart = (inside ^ thing_pixels).mean()
            assert apart < 0.02, (thing, apart)

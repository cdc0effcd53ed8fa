"""Which drawn pictures are taught without their prompt."""

from pathlib import Path

from chiasm.data.example import Example, Turn
from chiasm.data.unprompted import Unprompted

PICTURE = Path("a.png")
EDIT = Example("edit", (PICTURE, PICTURE), (Turn("make it red", picture=PICTURE, places=(0, 4)),))
TOLD = Example("told", (PICTURE,), (Turn("what is this?", "a cup"),))


def test_shares_are_kept_and_draws_are_apart():
    leaving = Unprompted(text=0.1, images=0.3, seed=3)
    seen = [leaving.choose(EDIT, epoch) for epoch in range(4001)]
    without_text = [not example.turns[0].question for example in seen]
    without_images = [not example.images for example in seen]
    both = [a and b for a, b in zip(without_text, without_images, strict=True)]
    assert abs(sum(without_text) / 4001 - 0.1) < 0.015
    assert abs(sum(without_images) / 4001 - 0.3) < 0.02
    assert abs(sum(both) / 4001 - 0.03) < 0.01
    for example in seen:
        assert len(example.turns[0].places) == len(example.images)
        assert example.turns[0].picture == PICTURE


def test_a_draw_depends_on_seed_epoch_and_id_alone():
    one, same, other = (Unprompted(text=0.5, images=0.0, seed=seed) for seed in (1, 1, 2))
    epochs = range(64)
    assert [one.choose(EDIT, e) for e in epochs] == [
        same.choose(EDIT, e) for e in reversed(epochs)
    ][::-1]
    assert [one.choose(EDIT, e) for e in epochs] != [other.choose(EDIT, e) for e in epochs]


def test_what_draws_nothing_stays_whole():
    assert Unprompted(text=1.0, images=1.0, seed=0).choose(TOLD, 0) is TOLD

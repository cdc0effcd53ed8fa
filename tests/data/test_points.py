"""Answers that point: from places in a picture to ids of image rows, and back to words."""

from dataclasses import replace

import pytest
from PIL import Image

from chiasm.connectors import PerceiverResampler, ShuffleMLP
from chiasm.data.collate import Collator
from chiasm.data.example import Example, Point, Turn
from chiasm.data.points import pointed_row, row_grid
from chiasm.data.templates import named
from chiasm.data.tokenizer import fit_tokenizer
from chiasm.errors import ChiasmError
from chiasm.heads import PointerHead
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Fixed, NativeResolution, Scale, geometry

PLAIN = replace(VISION_LANGUAGE[Scale.NANO], views=Fixed(48, 80))
"""Three lines of five patches."""
TEXTS = ["where is it? there it is, and there too."]
PICTURE = Image.new("RGB", (50, 30))
ANSWER = "there it is, and there too."


def collator(answers) -> Collator:
    tokenizer = fit_tokenizer(TEXTS * 3, answers.host.vocabulary)
    return Collator(answers, named(answers.template), tokenizer)


def pointing(**changes):
    return replace(PLAIN, head=PointerHead(pointers=64), **changes)


def asked(*points: Point, images: int = 1) -> Example:
    return Example("e", (PICTURE,) * images, (Turn("where is it?", ANSWER, points=points),))


def said(answers, example: Example) -> list[int]:
    inputs = collator(answers).batch([example], teach=True)
    return inputs.labels[0][inputs.labels[0] >= 0].tolist()


def test_points_stand_where_the_answer_says():
    """The words around them are the same ids in the same order, and all of it is taught."""
    answers, offset = pointing(), len("there it is,")
    first = answers.host.vocabulary
    got = said(answers, asked(Point(0, 0.1, 0.9), Point(offset, 0.99, 0.0)))
    assert next((n, i - first) for n, i in enumerate(got) if i >= first) == (0, 4)
    assert [i - first for i in got if i >= first] == [4, 10]
    words = collator(answers).words(got, skip_special_tokens=True)
    assert words.split() == said_words(answers)
    where = got.index(first + 10)
    before = collator(answers).words(got[:where], skip_special_tokens=True)
    assert before.replace(" ", "") == "thereitis,"


def said_words(answers) -> list[str]:
    return collator(answers).words(said(answers, asked()), skip_special_tokens=True).split()


def test_a_system_that_cannot_point_says_the_words_alone():
    assert said(PLAIN, asked(Point(3, 0.1, 0.9))) == said(PLAIN, asked())


def test_the_same_place_twice_is_two_ids():
    answers = pointing()
    got = said(answers, asked(Point(0, 0.5, 0.5), Point(0, 0.5, 0.5)))
    assert got[:2] == [answers.host.vocabulary + 7] * 2


def test_rows_of_a_second_image_go_on():
    answers = pointing()
    got = said(answers, asked(Point(0, 0.0, 0.0, image=1), images=2))
    assert got[0] == answers.host.vocabulary + 15


def test_merged_blocks_and_views_have_places():
    shuffled = geometry(pointing(views=Fixed(64, 96), connector=ShuffleMLP(factor=2)), (30, 50))
    spots = ((0, 0), (0.4, 0.9), (1, 1))
    assert [pointed_row(shuffled, Point(0, y, x)) for y, x in spots] == [0, 2, 5]
    split = NativeResolution(longest=80, shortest=32, split=True)
    plan = geometry(pointing(views=split), (64, 64))
    tile = plan.rows_per_view[0]
    last_line = tile - (row_grid(plan.grids[2], tile) or (0, 0))[1]
    assert pointed_row(plan, Point(0, 0.9, 0.1)) == 2 * tile + last_line
    assert row_grid((6, 4), 6) == (3, 2)


def test_what_has_no_place_is_refused_in_one_line():
    resampled = pointing(
        connector=PerceiverResampler(latents=7, depth=1, heads=2, head_width=4, project=True)
    )
    with pytest.raises(ChiasmError, match="7 rows of a grid of 3 x 5"):
        said(resampled, asked(Point(0, 0.5, 0.5)))
    with pytest.raises(ChiasmError, match=r"the point \(1.5, 0\)"):
        said(pointing(), asked(Point(0, 1.5, 0.0)))
    with pytest.raises(ChiasmError, match=r"points at \(5, 2\)"):
        said(pointing(), asked(Point(5, 0.5, 0.5), Point(2, 0.5, 0.5)))


def test_merged_blocks_stand_in_their_own_grid():
    """What positions on several axes read."""
    answers = pointing(views=Fixed(64, 96), connector=ShuffleMLP(factor=2))
    table = collator(answers).batch([asked()], teach=True).table
    places = table.place[0][table.modality[0] > 0]
    assert places.tolist() == [[0, y, x] for y in range(2) for x in range(3)]

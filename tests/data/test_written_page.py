"""The card of 143 pixelworld: text as pixels, and the patches that nothing is written on."""

from dataclasses import replace
from importlib.util import find_spec
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFont

from chiasm import data
from chiasm.data.as_pixels import INSTRUCTION, STEPS, as_pixels
from chiasm.data.example import Dataset
from chiasm.data.views import picture
from chiasm.data.written_page import Page, WrittenPage, wrapped
from chiasm.encoders.written_patches import kept_ratio, written_patches
from chiasm.errors import Misuse

lawful = pytest.mark.evidence(slug="pixelworld", grade="lawful")
TEXT = "Which of the two rivers is longer, and by how many miles?"


def pixels(page: WrittenPage) -> torch.Tensor:
    return torch.from_numpy(np.asarray(page.draw()).copy()).permute(2, 0, 1)[None] / 255


@pytest.mark.evidence(slug="pixelworld", grade="builds")
def test_a_data_set_is_asked_in_pixels_with_its_answers_kept():
    plain = data.load("scenes-relations", "test")
    few = Dataset(plain.name, plain.split, plain[:2])
    asked = as_pixels(few)
    turns = [turn for example in few for turn in example.turns]
    assert [one.turns[0].answer for one in asked] == [turn.answer for turn in turns]
    assert {one.turns[0].question for one in asked} == {INSTRUCTION}
    assert len({one.id for one in asked}) == len(turns)
    shown = asked[0].images[0].draw()
    assert shown.width == 512 and shown.height >= 256
    own = np.asarray(picture(few[0].images[0]).convert("RGB"))
    assert (np.asarray(shown)[20 : 20 + own.shape[0], 20 : 20 + own.shape[1]] == own).all()
    assert {one.turns[0].question for one in as_pixels(few, instruction=STEPS)} == {STEPS}


@lawful
@settings(max_examples=25, deadline=None)
@given(st.text(alphabet="ab cdefgh\nijk", max_size=120), st.integers(60, 300))
def test_wrapping_loses_no_letter_and_keeps_within_the_page(text, room):
    font = ImageFont.load_default(15)
    lines = [*wrapped(text, font, room)]
    assert "".join(lines).replace(" ", "") == "".join(text.split())
    assert all(font.getlength(line) <= room for line in lines)


@lawful
def test_ink_stays_within_the_margins_and_a_page_grows():
    page = Page(padding=30)
    drawn = np.asarray(WrittenPage(text=40 * TEXT, page=page).draw())
    assert drawn.shape[0] > page.height and drawn.shape[1] == page.width
    inked = (drawn < 200).any(-1)
    assert inked.any() and not inked[:, :29].any() and not inked[:, -29:].any()
    with pytest.raises(Misuse, match="a page 40 wide has no room between margins of 20"):
        Page(width=40)


@lawful
def test_tables_are_grids_and_pages_vary():
    table = (("river", "miles"), ("Nile", "4130"), ("Amazon", "3980"))
    drawn = np.asarray(WrittenPage(table=table).draw())
    ruled = (drawn[:, 20:490] < 100).all(-1).mean(1)
    assert int((ruled > 0.95).sum()) >= 4
    one, same, other = (Page.drawn(Random(seed)) for seed in (1, 1, 2))
    assert one == same != other
    assert 512 <= one.width <= 1024 and 15 <= one.font <= 25 and 5 <= one.padding <= 30
    noised = [np.asarray(WrittenPage(text=TEXT, page=replace(one, noise=n)).draw()) for n in (0, 9)]
    assert noised[0].shape == noised[1].shape and (noised[0] != noised[1]).any()


@lawful
@pytest.mark.slow
@pytest.mark.skipif(find_spec("rapidocr") is None, reason="RapidOCR is not installed")
def test_ocr_reads_what_was_written():
    from chiasm.ingestion.ocr import words_on

    found = " ".join(span.text for span in words_on(WrittenPage(text=TEXT).draw()))
    assert "".join(found.split()).casefold() == "".join(TEXT.split()).casefold()


@lawful
def test_a_threshold_below_zero_keeps_all_and_a_blank_page_keeps_one():
    page, blank = pixels(WrittenPage(text=TEXT)), pixels(WrittenPage())
    assert bool(written_patches(page, 16, -1.0).all())
    stays = written_patches(blank, 16, 1e-4)
    assert int(stays.sum()) == 1 and bool(stays[0, 0])


@lawful
def test_a_patch_stays_exactly_where_something_is_drawn():
    image = Image.new("RGB", (64, 48), (255, 255, 255))
    image.putpixel((35, 20), (0, 0, 0))
    drawn = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None] / 255
    stays = written_patches(drawn, 16, 1e-4)
    assert stays.nonzero().tolist() == [[0, 1 * 4 + 2]]


@lawful
def test_fewer_patches_stay_the_less_is_written():
    ratios = [
        kept_ratio(written_patches(pixels(WrittenPage(text=many * TEXT)), 16, 1e-4))
        for many in (1, 3, 6)
    ]
    assert 0 < ratios[0] < ratios[1] < ratios[2] < 1

"""PDFs: words with their boxes, pages as they look, and PDFs that cannot be read."""

import io
from dataclasses import replace

import pytest
from PIL import Image, ImageDraw, ImageFont
from tests.ingestion.pdfs import blank, encrypted, pdf, words

from chiasm.ingestion import Limits, Options, read
from chiasm.ingestion.pictures import SIDE
from chiasm.retrieval.unit import Kind

TWO = (words((20, 80, "Upper line"), (20, 20, "lower line")), words((20, 50, "Second page")))


def test_pages_have_their_lines_and_where_they_stand(units):
    first, second = units("reports/annual_2023.pdf", pdf(*TWO))
    assert (first.kind, first.page, second.page) == (Kind.PAGE, 1, 2)
    assert first.title == "annual 2023" and first.metadata == {"format": "pdf", "pages": 2}
    assert first.text == "Upper line\nlower line" and second.text == "Second page"
    upper, lower = first.spans
    assert abs(upper.box[0] - 0.1) < 0.01 and abs(upper.box[3] - 0.2) < 0.03
    assert abs(lower.box[3] - 0.8) < 0.03 and upper.box[2] < 0.4


def assert_on_the_ink(image, box):
    ink = image.point(lambda grey: 255 * (grey < 128)).getbbox()
    sizes = (*image.size, *image.size)
    for found, wanted, whole in zip(box, ink, sizes, strict=True):
        assert abs(found - wanted / whole) < 0.02


def test_boxes_are_where_the_ink_is(units):
    [unit] = units("a.pdf", pdf(words((120, 30, "Here"))))
    image = Image.open(io.BytesIO(unit.picture)).convert("L")
    assert image.size == (SIDE, SIDE // 2)
    ink = image.point(lambda grey: 255 * (grey < 128)).getbbox()
    for found, wanted, whole in zip(
        unit.spans[0].box, ink, (*image.size, *image.size), strict=True
    ):
        assert abs(found - wanted / whole) < 0.02


@pytest.mark.parametrize("rotate", [90, 180, 270])
def test_boxes_turn_with_the_page(units, rotate):
    [unit] = units("a.pdf", pdf(words((120, 30, "Here")), rotate=rotate))
    image = Image.open(io.BytesIO(unit.picture)).convert("L")
    ink = image.point(lambda grey: 255 * (grey < 128)).getbbox()
    for found, wanted, whole in zip(
        unit.spans[0].box, ink, (*image.size, *image.size), strict=True
    ):
        assert abs(found - wanted / whole) < 0.02


def test_the_title_it_gives_itself(units):
    data = pdf(TWO[0], extra="<< /Title (On pumps) >>", trailer="/Info 6 0 R")
    assert units("a.pdf", data)[0].title == "On pumps"


def test_a_scanned_page_is_read(made):
    image = Image.new("RGB", (620, 300), "white")
    font = ImageFont.load_default(40)
    ImageDraw.Draw(image).text((40, 40), "Invoice 4711", fill="black", font=font)
    into = io.BytesIO()
    image.save(into, "PDF")
    [unit] = read(made("scan.pdf", into.getvalue()), Options()).units
    assert unit.text == "Invoice 4711"
    assert unit.spans[0].box[0] < 0.1 and unit.spans[0].box[3] < 0.4
    [unseen] = read(made("scan.pdf", into.getvalue()), Options(ocr=False)).units
    assert unseen.text == "" and unseen.picture == unit.picture


def test_blank_pages_are_no_units(made, plainly):
    reading = read(made("a.pdf", pdf(TWO[0], "", TWO[1])), plainly)
    assert [unit.page for unit in reading.units] == [1, 3] and not reading.notes
    assert read(made("b.pdf", pdf("")), plainly).notes == ("shows nothing",)


def test_of_thousands_of_pages_the_first_are_read(made, plainly):
    options = replace(plainly, limits=Limits(pages=7))
    reading = read(made("a.pdf", blank(3001)), options)
    assert reading.notes == ("has 3,001 pages; only the first 7 are read", "shows nothing")
    reading = read(made("b.pdf", pdf(*TWO * 5)), options)
    assert len(reading.units) == 7
    assert reading.notes == ("has 10 pages; only the first 7 are read",)


def test_what_cannot_be_read_says_why(made, plainly):
    why = {
        "locked.pdf": (encrypted(), "is encrypted; save it without its password"),
        "broken.pdf": (pdf(*TWO)[:70], "is no whole PDF"),
        "words.pdf": (b"only words", "is no whole PDF"),
    }
    for path, (data, reason) in why.items():
        reading = read(made(path, data), plainly)
        assert not reading.units and len(reading.notes) == 1
        assert reading.notes[0].startswith(reason), reading.notes

"""Words found in the pictures of a data set."""

from importlib.util import find_spec

import pytest
from PIL import Image

from chiasm.data.example import Dataset, Example, Turn
from chiasm.data.spotted import Spot
from chiasm.data.written_page import Page, WrittenPage
from chiasm.ingestion.spots import with_spots


@pytest.mark.slow
@pytest.mark.skipif(find_spec("rapidocr") is None, reason="RapidOCR is not installed")
def test_lines_are_found_where_they_stand_and_what_is_known_stays():
    page = WrittenPage(text="the river is long", page=Page(width=320, height=96, font=22))
    known = (Spot("bridge", (1, 2, 3, 4)),)
    data = Dataset(
        "few",
        "test",
        (
            Example("a", (page, Image.new("RGB", (64, 64), "white")), (Turn("what?"),)),
            Example("b", (page,), (Turn("what?"),), spots=(known,)),
        ),
    )
    first, second = with_spots(data)
    assert second.spots == (known,)
    (line,), nothing = first.spots
    assert "".join(line.text.split()).casefold() == "theriverislong" and nothing == ()
    left, top, right, bottom = line.box
    assert left < 150 and 500 < right < 900 and top < 350 < bottom

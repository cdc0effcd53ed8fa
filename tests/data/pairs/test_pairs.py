"""Packaged pairs: split by concept, whole, and drawable; what a drawing refers to is not read."""

from pathlib import Path

import pytest
from PIL import Image

from chiasm.data import load, pairs
from chiasm.data.example import Drawing
from chiasm.data.media import read_image
from chiasm.data.pairs.vector import VectorDrawing, draw_svg
from chiasm.errors import ChiasmError, Misuse

COUNTS = {"clip-art": 2724, "emoji": 5041, "stamps": 950}


@pytest.fixture(params=COUNTS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def test_the_packages_hold_what_they_held(name: str) -> None:
    assert len(pairs.SETS[name]()) == COUNTS[name]
    assert len({pair.id for pair in pairs.SETS[name]()}) == COUNTS[name]


def test_a_concept_is_taught_or_held_out(name: str) -> None:
    train, test = pairs.load(name, "train"), pairs.load(name, "test")
    assert len(train) + len(test) == COUNTS[name]
    assert not {pair.concept for pair in train} & {pair.concept for pair in test}
    assert 0.15 < len(test) / COUNTS[name] < 0.25


def test_pictures_are_not_blank(name: str) -> None:
    for pair in pairs.load(name, "test")[:: 97 if name == "emoji" else 41]:
        held = pair.picture
        picture = held.draw() if isinstance(held, Drawing) else read_image(held)
        assert picture.mode == "RGB", pair.id
        assert max(high - low for low, high in picture.getextrema()) > 0, pair.id
        assert all(text.strip() for text in pair.texts), pair.id


def test_one_emoji_is_one_concept_in_every_design() -> None:
    pandas = [pair for pair in pairs.SETS["emoji"]() if pair.texts[0] == "panda"]
    assert {pair.design for pair in pandas} == {"fluent", "twemoji", "noto"}
    assert len({pair.concept for pair in pandas}) == 1


def test_stamps_are_translated_and_spoken() -> None:
    every = pairs.SETS["stamps"]()
    assert sum(len(pair.translations) for pair in every) > 55_000
    assert sum("fr" in pair.spoken for pair in every) > 850
    assert all(path.is_file() for pair in every[::53] for path in pair.spoken.values())


def test_pairs_are_captions_for_models_that_answer() -> None:
    captions = load("stamps", "test")
    assert captions[0].turns[0].answer == pairs.load("stamps", "test")[0].texts[0]


def test_unknown_names_are_refused() -> None:
    with pytest.raises(Misuse, match="choose clip-art, emoji, stamps"):
        pairs.load("stickers", "train")
    with pytest.raises(Misuse, match="not 'val'"):
        pairs.load("emoji", "val")


def test_a_drawing_reads_nothing_but_itself(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    Image.new("RGB", (7, 7), "red").save(secret)
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:x="http://www.w3.org/1999/xlink" '
        f'viewBox="0 0 7 7"><image x:href="{secret}" width="7" height="7"/></svg>'
    )
    assert draw_svg(svg.encode(), 11).getextrema() == ((255, 255),) * 3


@pytest.mark.parametrize("box", ["0 0 3 700", "0 0 700 3"])
def test_neither_side_grows_past_what_was_asked(box: str) -> None:
    inside = '<rect width="3" height="3"/>'
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}">{inside}</svg>'
    assert max(draw_svg(svg.encode(), 101).size) == 101


def test_blank_paper_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "page.svg"
    path.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" width="210mm" height="297mm">'
        '<rect x="300" y="500" width="40" height="20"/></svg>'
    )
    width, height = VectorDrawing(path).draw().size
    assert width / height == pytest.approx(2, rel=0.1)


def test_what_is_no_drawing_is_named() -> None:
    with pytest.raises(ChiasmError, match="cannot be drawn"):
        draw_svg(b"<svg", 11, "page.svg")


def test_emoji_are_named_in_four_languages() -> None:
    taught, held = (pairs.emoji_names(split) for split in pairs.SPLITS)
    assert not {e.id for e in taught} & {e.id for e in held}
    known = {example.id: example.turns for example in (*taught, *held)}
    turns = {turn.question: turn.answer for turn in known["emoji/fluent/1f43c"]}
    assert turns == {
        "What is it called in German?": "Panda",
        "What is it called in Spanish?": "panda",
        "What is it called in French?": "panda",
        "What is it called in Italian?": "panda",
    }
    assert sum(len(turns) for turns in known.values()) > 3.9 * len(known)

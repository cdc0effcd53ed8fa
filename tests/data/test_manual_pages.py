"""Figures of the manual: titles without numbers, pages held out whole."""

from pathlib import Path

from chiasm.data import load
from chiasm.data.views import picture

TRAIN, TEST = (load("manual-pages", split) for split in ("train", "test"))


def test_counts_and_titles() -> None:
    assert len(TRAIN) + len(TEST) > 900
    said = {example.id: example.turns[0].answer for example in (*TRAIN, *TEST)}
    assert said["manual-pages/gimp-tool-heal/0"] == "The “Heal tool” in the Toolbox"
    assert not any(answer.startswith("Figure") or not answer for answer in said.values())
    asked = {example.id: example.turns[0].question for example in (*TRAIN, *TEST)}
    assert "section 'Heal'" in asked["manual-pages/gimp-tool-heal/0"]


def test_no_page_and_no_picture_is_in_both() -> None:
    pages = [{example.id.split("/")[1] for example in split} for split in (TRAIN, TEST)]
    shown = [{example.images for example in split} for split in (TRAIN, TEST)]
    assert not pages[0] & pages[1] and not shown[0] & shown[1]


def test_pictures_can_be_read() -> None:
    for example in TEST[::37]:
        assert isinstance(example.images[0], Path)
        assert min(picture(example.images[0]).size) > 4


def test_passages_are_text_alone_of_the_same_pages() -> None:
    taught, held = (load("manual-text", split) for split in ("train", "test"))
    assert len(taught) > 1000 and len(held) > 200
    assert not {e.id.split("/")[1] for e in taught} & {e.id.split("/")[1] for e in held}
    for example in held[::19]:
        [turn] = example.turns
        assert not example.images and len(turn.answer.split()) >= 60
        assert "  " not in turn.answer and turn.question.startswith("What does the manual say")

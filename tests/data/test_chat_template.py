"""Folders' own chat templates: of parts, of plain texts, and those that refuse."""

import pytest

from chiasm.data.chat_template import render_chat
from chiasm.data.example import Turn
from chiasm.data.tokenizer import fit_tokenizer
from chiasm.errors import ChiasmError, Misuse

PARTS = (
    "{% for m in messages %}{{ m.role }}: {% for c in m.content %}"
    "{% if c.type == 'image' %}<image>{% else %}{{ c.text }}{% endif %}{% endfor %};"
    "{% endfor %}"
)
PLAIN = "{% for m in messages %}{{ m.role + ': ' + m.content }};{% endfor %}"
STRICT = "{{ raise_exception('only a user may speak') }}"
TURNS = (Turn("a and b", "both"), Turn("why?"))


def written(template: str, turns, images=(), system: str = "") -> str:
    """The prompt as text, each picture as {}."""
    tokenizer = fit_tokenizer(["user: what assistant system"], 300)
    tokenizer.chat_template = template
    runs = render_chat(tokenizer, "<image>", images, turns, system=system)
    return "".join(
        "{}" if run.image_index is not None else tokenizer.decode(run.ids) for run in runs
    )


@pytest.mark.parametrize("template", [PARTS, PLAIN])
def test_both_kinds_say_the_same_words(template):
    expected = "system: be brief;user: a and b;assistant: both;user: why?;"
    assert written(template, TURNS, system="be brief") == expected


def test_pictures_stand_where_they_are_placed():
    assert written(PARTS, TURNS, images=(1,)).startswith("user: {}a and b;")
    placed = (Turn("a and b", "both", (2, 7)), Turn("why?", "", (0,)))
    assert written(PARTS, placed, images=(1, 2, 3)) == (
        "user: a {}and b{};assistant: both;user: {}why?;"
    )


def test_refusals():
    with pytest.raises(ChiasmError, match="takes no images"):
        written(PLAIN, TURNS, images=(1,))
    with pytest.raises(ChiasmError, match="only a user may speak"):
        written(STRICT, TURNS)
    with pytest.raises(Misuse, match="stands for an image"):
        written(PARTS, (Turn("an <image>"),))

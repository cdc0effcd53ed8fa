"""What is tried: names and shares as they are written, and each question alone."""

import json

import pytest
from PIL import Image

from chiasm.compression.method import methods
from chiasm.data.example import Example, Turn
from chiasm.errors import Misuse
from chiasm.evaluation.difference import CONTROLS
from chiasm.evaluation.trial import Trial, alone, method_names, shares


def trial(**changes):
    given = {"checkpoint": "x", "methods": ("fastv",), "keeps": (0.5,), "data": "easy-vqa"}
    return Trial(**given | changes)


def test_all_names_every_method_and_the_controls_run_first():
    assert set(method_names("all")) | set(CONTROLS) == set(methods())
    named = trial(methods=method_names(" vscan, uniform ,"))
    assert named.order == ("random", "uniform", "vscan")


def test_shares_are_numbers_between_commas():
    assert shares("0.5, 0.25,0.1") == (0.5, 0.25, 0.1)
    with pytest.raises(Misuse, match="--keep half"):
        shares("half")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"methods": ("fastw",)}, "fastv"),
        ({"methods": ("fastv", "fastv")}, "fastv named twice"),
        ({"methods": ()}, "no method"),
        ({"keeps": (0.5, 1.5)}, "keep=1.5"),
        ({"keeps": (0.0,)}, "keep=0"),
        ({"limit": 0}, "limit 0"),
        ({"max_new": 0}, "max-new 0"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_runs(changes, said):
    with pytest.raises(Misuse, match=said):
        trial(**changes)


def test_the_seed_goes_to_what_draws():
    assert trial(seed=7).settings("random") == {"seed": 7}
    assert trial(seed=7).settings("uniform") == {}


def test_each_independent_question_is_asked_alone(tmp_path):
    turns = (Turn("a?", "x"), Turn("b?", "y"))
    apart = Example("1", (tmp_path / "p.png",), turns, independent=True)
    talk = Example("2", (tmp_path / "p.png",), turns)
    asked = alone([apart, talk])
    assert [(one.id, one.turns) for one in asked] == [
        ("1", turns[:1]),
        ("1", turns[1:]),
        ("2", turns),
    ]
    assert all(one.images == apart.images for one in asked)


def test_a_file_is_asked_whole_and_a_limit_counts_examples(tmp_path):
    Image.new("RGB", (5, 7)).save(tmp_path / "p.png")
    records = [
        {
            "id": str(number),
            "image": "p.png",
            "conversations": [
                {"from": "human", "value": "<image>\nwhat?"},
                {"from": "gpt", "value": "red"},
            ],
        }
        for number in range(3)
    ]
    path = tmp_path / "own.json"
    path.write_text(json.dumps(records))
    assert [one.id for one in trial(data=str(path)).asked()] == ["0", "1", "2"]
    assert [one.id for one in trial(data=str(path), limit=2).asked()] == ["0", "1"]

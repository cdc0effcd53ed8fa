"""The report: self-contained, honest about who was right, escaping what models say."""

import re

import pytest
from PIL import Image

from chiasm.data.example import Example, Turn
from chiasm.evaluation.predict import Prediction
from chiasm.evaluation.report import examples_to_show, page
from chiasm.evaluation.result import Result, Score
from chiasm.evaluation.table import rows, scaled


@pytest.fixture
def examples(tmp_path):
    made = []
    for at in range(23):
        path = tmp_path / f"{at}.png"
        Image.new("RGB", (31, 17), (at, 0, 0)).save(path)
        turns = (Turn("what colour?", "red"), Turn("is it <b>blue</b>?", "no"))
        made.append(Example(str(at), (path,), turns, independent=True))
    return made


def results(accuracy):
    shared = {
        "parameters": 941_000,
        "parameters_trained": 940_000,
        "visual_tokens": 64,
        "text_tokens": 11,
        "prefill_flops": 123_456_789,
        "kv_bytes": 230_400,
        "prefill_ms": 3.21,
        "peak_bytes": 5_000_000,
        "samples": 1000,
        "seconds": 10.0,
        "seed": 3,
    }
    return [
        Result(system=name, score=Score(right=right, count=100), **shared)
        for name, right in accuracy.items()
    ]


def said(examples, answer):
    return [
        Prediction(e.id, turn.question, turn.answer, answer) for e in examples for turn in e.turns
    ]


def test_a_score_beats_another_only_with_disjoint_intervals():
    assert Score(right=97, count=100).beats(Score(right=67, count=100))
    assert not Score(right=70, count=100).beats(Score(right=67, count=100))
    assert not Score(right=67, count=100).beats(Score(right=97, count=100))


def test_record_has_the_promised_fields():
    [result] = results({"saisa": 97})
    record = result.record(scale="nano")
    promised = "system accuracy accuracy_low accuracy_high prefill_flops kv_bytes prefill_ms"
    promised += " peak_bytes samples_per_second seconds seed"
    assert set(promised.split()) <= set(record)
    assert record["accuracy_low"] < record["accuracy"] == 0.97 < record["accuracy_high"]
    assert record["samples_per_second"] == 100


def test_page_is_self_contained_and_escaped(examples):
    predictions = {
        "saisa": said(examples, "red"),
        "text-only": said(examples, "<script>x</script>"),
    }
    shown = examples_to_show(examples, predictions)
    html = page(
        results({"saisa": 97, "text-only": 60}),
        Score(right=37, count=100),
        {"saisa": [(0.1, 3.0), (0.2, 2.0)], "text-only": [(0.1, 3.0), (0.3, 2.5)]},
        shown,
        title="two & more",
        facts={"command": "chiasm compare <x>"},
    )
    assert len(shown) == 10
    assert "<script>" not in html and "two &amp; more" in html
    outside = re.findall(r"""(?:src|href)=["']?(?!data:image/png|#)([^"'\s>]+)""", html)
    assert outside == []
    assert html.count("<svg") == 2
    assert html.count('class="right"') == 5  # "red" was asked at every other of the ten examples
    assert html.count('class="wrong"') == 15


def test_examples_are_chosen_by_place_not_by_success(examples):
    right = examples_to_show(examples, {"a": said(examples, "red")})
    wrong = examples_to_show(examples, {"a": said(examples, "nothing")})
    assert [(s.example.id, s.question) for s in right] == [
        (s.example.id, s.question) for s in wrong
    ]


def test_table_ends_with_the_majority_answer():
    lines = rows(results({"saisa": 97}), Score(right=37, count=100))
    assert [line[0] for line in lines] == ["saisa", "majority answer"]
    assert lines[1][-2] == "37.00%"


@pytest.mark.parametrize(
    ("count", "told"), [(0, "0"), (999, "999"), (1000, "1 k"), (2_860_000_000_000, "2.86 T")]
)
def test_scaled(count, told):
    assert scaled(count) == told

"""Effects over seeds: the interval, the outcome, and a pair that is taught and remembered."""

import json
from dataclasses import replace

import pytest
import torch

from chiasm.catalogue.effects import read_result
from chiasm.errors import Misuse
from chiasm.evaluation import effect
from chiasm.evaluation.committed_effects import effects_block
from chiasm.evaluation.effect import Pair, measure, outcome, record
from chiasm.evaluation.interval import student, student_quantile
from chiasm.spec import Scale, registered


@pytest.mark.parametrize(
    ("freedom", "expected"), [(1, 12.7062), (2, 4.30265), (4, 2.77645), (9, 2.26216), (30, 2.04227)]
)
def test_quantiles_are_those_of_the_tables(freedom, expected):
    assert student_quantile(0.975, freedom) == pytest.approx(expected, rel=1e-4)


def test_the_interval_of_three_measurements():
    """Mean 2, deviation 1: 2 -/+ 4.30265 / sqrt(3)."""
    low, high = student([1.0, 2.0, 3.0])
    assert (low, high) == pytest.approx((2 - 2.48414, 2 + 2.48414), abs=1e-3)
    with pytest.raises(ValueError, match="at least two"):
        student([1.0])


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.1, 0.2, "confirmed"), (-0.2, -0.1, "contrary"), (-0.1, 0.1, "none seen")],
)
def test_the_outcome_is_the_side_of_zero(low, high, said):
    assert outcome(low, high) == said


def pair(**changed) -> Pair:
    llava = registered()["llava-1.5"]
    nano = llava.at(Scale.NANO)
    small = replace(nano, host=replace(nano.host, width=32, depth=1, ff_width=32, head_width=8))
    tiny = replace(llava, scales={Scale.NANO: small})
    settings = dict(
        name="a-pair",
        system=tiny,
        baseline=tiny,
        data="easy-vqa",
        samples=16,
        asked=3,
        claim="nothing",
        differs="nothing",
    )
    return Pair(**{**settings, **changed})


def test_paired_differences_decide_not_the_arms_spread():
    """Arms that vary together: wide intervals of their own, a narrow one of the difference."""
    found = record(pair(), [0, 1, 2], [0.5, 0.7, 0.9], [0.4, 0.61, 0.8])
    assert found["outcome"] == "confirmed"
    assert found["low"] < found["baseline"] < found["value"]
    assert found["difference"] == pytest.approx(0.0966667, abs=1e-6)


def test_a_pair_is_taught_judged_and_remembered(tmp_path, monkeypatch):
    torch.set_num_threads(1)
    told: list[str] = []
    found = measure(pair(), [0, 1, 2], tmp_path, tell=told.append)
    assert found["accuracies"] == found["baseline_accuracies"], "one system, one arm a seed"
    assert found["outcome"] == "none seen" and len(told) == 6
    out = tmp_path / "llava-1.5" / "a-pair.json"
    out.parent.mkdir()
    out.write_text(json.dumps(found))
    assert read_result(out)["seeds"] == [0, 1, 2]
    # Finished arms are read, not taught: their accuracies could be anything.
    for kept in tmp_path.glob("llava-1.5-easy-vqa-*/accuracy.json"):
        kept.write_text(json.dumps(json.loads(kept.read_text()) | {"accuracy": 0.125}))
    assert measure(pair(), [0, 1, 2], tmp_path, tell=told.append)["accuracies"] == [0.125] * 3

    def taught_anew(*given, **settings):
        raise RuntimeError("taught anew")

    monkeypatch.setattr(effect, "train", taught_anew)
    with pytest.raises(RuntimeError, match="taught anew"):
        measure(pair(asked=2), [0, 1, 2], tmp_path, tell=told.append)


def test_two_seeds_are_too_few(tmp_path):
    with pytest.raises(Misuse, match="at least three"):
        measure(pair(), [0, 1], tmp_path, tell=print)


def test_the_readmes_table_shows_every_outcome(tmp_path):
    assert effects_block(tmp_path) == "No effect has been measured yet."
    for slug, arm in (("saisa", [0.9, 0.8, 0.85]), ("aki", [0.4, 0.61, 0.8])):
        found = record(pair(differs="a | b"), [0, 1, 2], arm, [0.4, 0.61, 0.8])
        (tmp_path / slug).mkdir()
        (tmp_path / slug / "one.json").write_text(json.dumps(found))
    (tmp_path / "prefill").mkdir()
    (tmp_path / "prefill" / "other.json").write_text("{}")
    lines = effects_block(tmp_path).splitlines()
    assert lines[2].startswith("| `aki` | a \\| b | easy-vqa | 60.3% | 60.3% | +0.0 (+0.0 to +0.0)")
    assert lines[2].endswith("| none seen |") and lines[3].startswith("| `saisa` |")
    assert len(lines) == 6

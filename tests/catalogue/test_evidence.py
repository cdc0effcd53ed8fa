"""Grades computed from synthetic evidence."""

import json
from itertools import product

import pytest

from chiasm.catalogue import effects
from chiasm.catalogue.evidence import (
    GRADES,
    asked_by,
    earnable,
    grade,
    grade_from,
    outcomes,
    read,
    record,
    unused_values,
)
from chiasm.catalogue.rows import row, rows
from chiasm.errors import ChiasmError, Misuse

FIELDS = {
    "what": "tests",
    "command": "python -m pytest",
    "commit": "abc",
    "machine": "any, 2 cores",
    "passed": True,
}
RESULT = {
    "command": "chiasm compare saisa llava-1.5",
    "seeds": [0, 1, 2],
    "commit": "abc",
    "machine": "any, 2 cores",
    "metric": "accuracy",
    "value": 0.7,
    "low": 0.6,
    "high": 0.8,
    "baseline": 0.5,
    "baseline_low": 0.4,
    "baseline_high": 0.6,
    "outcome": "confirmed",
}


def entry(grade, passed=True):
    return {"grade": grade, "passed": passed}


def graded(slug, *steps):
    return grade_from(row(slug), [entry(step) for step in steps])


def test_each_grade_needs_every_lower_one():
    assert graded("saisa") == "listed"
    assert graded("saisa", "builds") == "builds"
    assert graded("saisa", "lawful") == "listed"
    assert graded("saisa", "builds", "lawful") == "lawful"
    assert graded("saisa", "builds", "lawful", "matches") == "matches"
    assert graded("saisa", "builds", "effect") == "builds"


def test_matches_is_required_only_where_a_reference_exists():
    assert row("saisa").parity == "none"
    assert graded("saisa", "builds", "lawful", "effect") == "effect"
    assert graded("llava-1.5", "builds", "lawful", "effect") == "lawful"
    assert graded("llava-1.5", "builds", "lawful", "matches", "effect") == "effect"


def test_a_failed_record_stops_the_climb():
    both = [entry("builds"), entry("lawful"), entry("lawful", passed=False)]
    assert grade_from(row("saisa"), both) == "builds"
    lost = [*map(entry, ("builds", "lawful", "effect")), entry("matches", passed=False)]
    assert grade_from(row("saisa"), lost) == "lawful"


@pytest.mark.parametrize("slug", ["saisa", "llava-1.5", "mmmu-pro", "small-vlm-survey"])
def test_more_passing_evidence_never_lowers_a_grade(slug):
    steps = earnable(row(slug))
    for held in product((False, True), repeat=len(steps)):
        have = [step for step, kept in zip(steps, held, strict=True) if kept]
        before = GRADES.index(graded(slug, *have))
        for step in steps:
            assert GRADES.index(graded(slug, *have, step)) >= before


def test_a_survey_is_graded_from_the_catalogue():
    assert all(asked_by(of) for of in rows() if of.kind == "survey")
    assert unused_values(row("evolution-architectures")) == []
    assert graded("evolution-architectures") == "lawful"
    assert "refseg=one" in unused_values(row("referring-segmentation-survey"))
    assert graded("referring-segmentation-survey") == "builds"
    assert graded("referring-segmentation-survey", "lawful") == "lawful"


def test_kinds_without_an_effect_cannot_record_one():
    assert earnable(row("mmmu-pro")) == ("builds", "lawful", "matches")
    assert earnable(row("small-vlm-survey")) == ("builds", "lawful")


def test_record_writes_and_replaces(tmp_path):
    assert read("saisa", tmp_path) == []
    path = record("saisa", "lawful", folder=tmp_path, **FIELDS)
    record("saisa", "builds", folder=tmp_path, **FIELDS)
    assert grade("saisa", tmp_path) == "lawful"
    record("saisa", "lawful", folder=tmp_path, **{**FIELDS, "passed": False})
    assert [(e["grade"], e["passed"]) for e in read("saisa", tmp_path)] == [
        ("builds", True),
        ("lawful", False),
    ]
    assert grade("saisa", tmp_path) == "builds"
    assert [path.name for path in tmp_path.iterdir()] == [path.name] == ["saisa.json"]


def test_record_refuses_what_proves_nothing(tmp_path):
    with pytest.raises(Misuse, match="cannot earn 'great'"):
        record("saisa", "great", folder=tmp_path, **FIELDS)
    with pytest.raises(Misuse, match="results/saisa"):
        record("saisa", "effect", folder=tmp_path, **FIELDS)
    with pytest.raises(ChiasmError, match=r"saisa\.json.*'commit'"):
        record("saisa", "builds", folder=tmp_path, **{**FIELDS, "commit": ""})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("{", "saisa.json is not JSON"),
        ('{"slug": "sail", "records": []}', "'slug'"),
        ('{"slug": "saisa"}', "'records'"),
        ('{"slug": "saisa", "records": [{"grade": "builds"}]}', "record 0: field 'what'"),
    ],
)
def test_malformed_evidence_names_the_file_and_the_field(tmp_path, content, named):
    (tmp_path / "saisa.json").write_text(content)
    with pytest.raises(ChiasmError, match=named) as caught:
        grade("saisa", tmp_path)
    assert "saisa.json" in str(caught.value)


def test_shipped_evidence_is_whole_and_names_systems():
    from chiasm.catalogue.evidence import FOLDER

    assert {path.stem for path in FOLDER.glob("*.json")} <= {of.slug for of in rows()}
    assert all(grade(of.slug) in GRADES for of in rows())


def put_result(repository, slug="saisa", name="accuracy", **changes):
    folder = repository / "results" / slug
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    path.write_text(json.dumps({**RESULT, **changes}))
    return path


def test_results_are_folded_in_and_out(tmp_path):
    shipped = tmp_path / "evidence"
    for step in ("builds", "lawful"):
        record("saisa", step, folder=shipped, **FIELDS)
    path = put_result(tmp_path)
    put_result(tmp_path, name="latency", outcome="contrary")
    assert effects.fold(tmp_path, shipped) == ["saisa"]
    assert grade("saisa", shipped) == "effect"
    assert outcomes("saisa", shipped) == ("confirmed", "contrary")
    assert effects.stale(tmp_path, shipped) == {}
    path.unlink()
    assert list(effects.stale(tmp_path, shipped)) == ["saisa"]
    effects.fold(tmp_path, shipped)
    assert outcomes("saisa", shipped) == ("contrary",)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"seeds": []}, "seeds"),
        ({"value": "0.7"}, "value"),
        ({"value": 0.9}, "value"),
        ({"baseline_low": None}, "baseline_low"),
        ({"metric": ""}, "metric"),
        ({"outcome": "great"}, "outcome"),
        ({"better": "lower"}, "outcome"),
        ({"better": "bigger"}, "better"),
    ],
)
def test_malformed_results_name_the_file_and_the_field(tmp_path, changes, field):
    path = put_result(tmp_path, **changes)
    with pytest.raises(ChiasmError, match=rf"saisa/accuracy\.json: field '{field}'"):
        effects.read_result(path)


def test_a_result_for_a_kind_without_effect_raises(tmp_path):
    put_result(tmp_path, slug="mmmu-pro")
    with pytest.raises(ChiasmError, match="a benchmark can earn"):
        effects.fold(tmp_path, tmp_path / "evidence")

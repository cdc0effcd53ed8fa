"""The pytest plugin, run on small test files in a session of its own."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import chiasm.catalogue
from chiasm.catalogue.evidence import read
from chiasm.catalogue.provenance import machine, shareable

SOURCE = Path(chiasm.catalogue.__file__).parents[2]
TESTS = """
import pytest
builds = pytest.mark.evidence(slug="saisa", grade="builds")
lawful = pytest.mark.evidence(slug="saisa", grade="lawful")

@builds
def test_build(): pass

@builds
@pytest.mark.parametrize("scale", ["nano", "smol"])
def test_step(scale): pass

@lawful
@pytest.mark.evidence(slug="flamingo", grade="lawful")
def test_law(): pass

@lawful
def test_card(): assert {card}

@pytest.mark.evidence(slug="aria", grade="builds")
def test_other(): {other}

def test_unmarked(): assert False
"""


def session(folder, *arguments, card="True", other="pass"):
    """Run the tests in `folder`; the written records as `{(slug, grade): record}`."""
    (folder / "test_small.py").write_text(TESTS.format(card=card, other=other))
    (folder / "pytest.ini").write_text("[pytest]\naddopts = -p no:cacheprovider\n")
    done = run(folder, "--record-evidence", "--evidence-dir=found", *arguments)
    assert done.returncode == 1, done.stdout + done.stderr  # the unmarked test fails
    slugs = ("saisa", "flamingo", "aria")
    return {(s, e["grade"]): e for s in slugs for e in read(s, folder / "found")}


def run(folder, *arguments):
    """Run pytest with the plugin in `folder`, under this suite's own source."""
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("PYTEST_ADDOPTS", None)
    environment.pop("PYTEST_XDIST_WORKER", None)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "chiasm.catalogue.collect", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


XDIST = pytest.param(("-n", "2"), marks=pytest.mark.slow)
PARALLEL = [(), *([XDIST] if find_spec("xdist") else [])]


@pytest.mark.parametrize("parallel", PARALLEL, ids=lambda options: "xdist" if options else "one")
def test_passing_marks_become_records(tmp_path, parallel):
    found = session(tmp_path, *parallel)
    assert {key: e["tests"] for key, e in found.items()} == {
        ("saisa", "builds"): 3,
        ("saisa", "lawful"): 2,
        ("flamingo", "lawful"): 1,
        ("aria", "builds"): 1,
    }
    for entry in found.values():
        assert entry["passed"] is True
        assert entry["commit"] == "uncommitted"
        assert entry["machine"] == machine()
        assert "--record-evidence" in entry["command"]
        assert str(tmp_path) not in entry["command"]


@pytest.mark.parametrize("parallel", PARALLEL, ids=lambda options: "xdist" if options else "one")
def test_a_failed_test_loses_the_grade(tmp_path, parallel):
    found = session(tmp_path, *parallel, card="False")
    assert found["saisa", "lawful"]["passed"] is False
    assert found["flamingo", "lawful"]["passed"] is True


@pytest.mark.parametrize("parallel", PARALLEL, ids=lambda options: "xdist" if options else "one")
def test_a_part_of_the_tests_proves_nothing(tmp_path, parallel):
    skipped = session(tmp_path, *parallel, "-k", "not smol", other="pytest.skip('no weights')")
    assert set(skipped) == {("saisa", "lawful"), ("flamingo", "lawful")}


def test_a_test_never_reached_proves_nothing(tmp_path):
    found = session(tmp_path, "-x", card="False")
    assert ("aria", "builds") not in found
    assert found["saisa", "lawful"]["passed"] is False


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        ('slug="saissa", grade="builds"', "unknown system"),
        ('slug="saisa", grade="effect"', "can claim builds, lawful, matches"),
        ('slug="small-vlm-survey", grade="matches"', "can claim builds, lawful, not"),
        ('"saisa", "builds"', "slug=, grade="),
    ],
)
def test_a_mark_that_claims_nothing_stops_the_session(tmp_path, mark, said):
    (tmp_path / "test_bad.py").write_text(
        f"import pytest\n@pytest.mark.evidence({mark})\ndef test_it(): pass\n"
    )
    done = run(tmp_path, "--record-evidence")
    assert done.returncode not in (0, 1)
    assert said in done.stdout + done.stderr


def test_nothing_is_written_without_the_switch(tmp_path):
    (tmp_path / "test_small.py").write_text(TESTS.format(card="True", other="pass"))
    run(tmp_path, "--evidence-dir=found")
    assert not (tmp_path / "found").exists()


def test_commands_carry_no_paths_of_this_machine():
    root = Path("/home/someone/chiasm")
    given = [f"{root}/tests/laws", "--junitxml=/tmp/x.xml", "-k", "a or b", "tests::t[1/2]"]
    assert shareable(given, root) == "tests/laws --junitxml=x.xml -k 'a or b' 'tests::t[1/2]'"

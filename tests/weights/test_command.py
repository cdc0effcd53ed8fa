"""`chiasm weights` as a person types it."""

import json

import pytest
from typer.testing import CliRunner

from chiasm.cli.weights import app
from chiasm.errors import ChiasmError, Misuse
from chiasm.weights import path

runner = CliRunner()


def test_list_as_json_leaves_data_sets_out() -> None:
    rows = json.loads(runner.invoke(app, ["list", "--json"]).stdout)
    assert [row["alias"] for row in rows] == [
        "smollm2-135m",
        "minilm-l6",
        "efficientnet-lite0",
        "whisper-base",
    ]
    assert all(row["licence"] and isinstance(row["fetched"], bool) for row in rows)


def test_list_is_a_table() -> None:
    shown = runner.invoke(app, ["list"], env={"COLUMNS": "160"}).stdout
    assert "smollm2-135m" in shown
    assert "licence" in shown


def test_fetch_prints_alias_and_folder() -> None:
    shown = runner.invoke(app, ["fetch", "efficientnet-lite0"])
    assert shown.exit_code == 0
    assert shown.stdout.split() == ["efficientnet-lite0", str(path("efficientnet-lite0"))]


@pytest.mark.parametrize("arguments", [["fetch"], ["fetch", "--all", "minilm-l6"]])
def test_fetch_wants_names_or_all(arguments: list[str]) -> None:
    assert isinstance(runner.invoke(app, arguments).exception, Misuse)


def test_path_of_what_is_absent(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHIASM_CACHE", str(tmp_path))
    outcome = runner.invoke(app, ["path", "minilm-l6"])
    assert isinstance(outcome.exception, ChiasmError)
    assert "chiasm weights fetch minilm-l6" in str(outcome.exception)


@pytest.mark.parametrize("command", ["list", "fetch", "path"])
def test_help_shows_an_example(command: str) -> None:
    assert "Example: chiasm weights" in runner.invoke(app, [command, "--help"]).stdout

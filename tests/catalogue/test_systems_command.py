"""`chiasm systems` on the command line."""

import json
import os
import subprocess
import sys
from pathlib import Path

import typer
from typer.testing import CliRunner

from chiasm.cli import systems as command
from chiasm.errors import Misuse

app = typer.Typer()
app.command()(command.systems)
KEYS = ["no", "slug", "name", "kind", "family", "grade", "facets"]


def invoke(*arguments):
    return CliRunner().invoke(app, list(arguments))


def test_json_lists_every_row_with_exactly_these_keys():
    found = json.loads(invoke("--json").stdout)
    assert len(found) == 249
    assert all(list(entry) == KEYS for entry in found)
    assert found[6]["slug"] == "saisa"
    assert found[6]["facets"]["mods"] == ["in:T", "in:I", "out:T"]
    assert found[1]["facets"] == {}


def test_options_and_words_filter():
    def slugs(*arguments):
        return [entry["slug"] for entry in json.loads(invoke("--json", *arguments).stdout)]

    assert slugs("--arch", "A", "--efficiency", "moe") == ["evlm"]
    assert slugs("--facet", "arch=A", "--facet", "eff=moe") == ["evlm"]
    assert slugs("flamingo") == ["flamingo"]
    assert len(slugs("--kind", "survey")) == 21
    assert slugs("--family", "ssm", "--kind", "model") == ["ml-mamba", "omnimamba"]
    assert slugs("--grade", "listed", "--kind", "survey") == []
    assert slugs("no", "such", "system") == []


def test_a_pipe_gets_one_plain_line_a_row():
    lines = invoke("--family", "ssm").stdout.splitlines()
    assert lines[0].split() == ["no", "slug", "kind", "family", "grade", "title"]
    assert [line.split()[1] for line in lines[1:]] == [
        "mamba-medical-survey",
        "ml-mamba",
        "omnimamba",
    ]


def test_a_facet_filter_says_how_many_rows_it_can_see():
    assert "answered for 114 systems" in invoke("--arch", "A").stderr


def test_a_terminal_of_100_columns_gets_a_readable_table(capsys, monkeypatch):
    from chiasm.catalogue.selection import select

    monkeypatch.setenv("COLUMNS", "100")
    command.print_table(select())
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[-1] == "249 systems"
    assert any("referring-segmentation-survey" in line for line in lines)


def test_unknown_names_are_misuse():
    for arguments in (["--kind", "toy"], ["--facet", "arhc=A"], ["--arch", "Z"]):
        assert isinstance(invoke(*arguments).exception, Misuse)


def test_the_command_starts_without_torch():
    source = Path(command.__file__).parents[2]
    script = (
        "import sys; from chiasm.cli.systems import systems; systems(as_json=True)\n"
        "heavy = {'torch', 'transformers', 'numpy', 'rich'} & set(sys.modules)\n"
        "print(heavy, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr.strip() == "set()"

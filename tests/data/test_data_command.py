"""`chiasm data` on the command line."""

import json

import pytest
from typer.testing import CliRunner

from chiasm.cli.data import app
from chiasm.errors import Misuse

run = CliRunner().invoke


def test_list(monkeypatch, tmp_path):
    monkeypatch.setenv("CHIASM_CACHE", str(tmp_path))
    rows = {row["name"]: row for row in json.loads(run(app, ["list", "--json"]).stdout)}
    generated = {name for name, other in rows.items() if other["fetched"]}
    assert {"scenes", "scenes-relations", "scenes-captions"} <= generated
    row = rows["easy-vqa"]
    assert (row["name"], row["splits"], row["fetched"]) == ("easy-vqa", ["train", "test"], False)
    table = run(app, ["list"]).stdout
    assert "easy-vqa" in table
    assert "MIT" in table


def test_fetch(easy_vqa_folder):
    for arguments in (["easy-vqa"], ["--all"]):
        result = run(app, ["fetch", *arguments])
        assert result.exit_code == 0
        assert str(easy_vqa_folder) in result.stdout


def test_what_is_generated_needs_no_fetching():
    result = run(app, ["fetch", "scenes"])
    assert result.exit_code == 0 and "nothing to fetch" in result.stdout
    shown = run(app, ["show", "scenes", "--split", "test", "--n", "1"]).stdout
    assert "scenes test: 1,000 examples" in shown and "  image " in shown


@pytest.mark.parametrize("arguments", [["fetch"], ["fetch", "easy-vqa", "--all"], ["fetch", "x"]])
def test_fetch_misuse(arguments):
    assert isinstance(run(app, arguments).exception, Misuse)


def test_show(easy_vqa_folder):
    result = run(app, ["show", "easy-vqa", "--split", "test", "--n", "2"])
    assert result.exit_code == 0
    assert "easy-vqa test: 1,000 examples, 9,673 questions" in result.stdout
    assert "what is the red shape?  ->  triangle" in result.stdout
    assert "easy-vqa/test/2" not in result.stdout
    rows = json.loads(run(app, ["show", "easy-vqa", "--n", "1", "--json"]).stdout)
    assert rows[0]["turns"][0] == {"question": "what is the blue shape?", "answer": "rectangle"}


def test_show_a_file(tmp_path):
    record = {
        "id": "c",
        "conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}],
    }
    path = tmp_path / "mine.json"
    path.write_text(json.dumps([record]))
    assert "c  (a conversation)\n  q  ->  a" in run(app, ["show", str(path)]).stdout
    assert isinstance(run(app, ["show", "esy-vqa"]).exception, Misuse)
    assert run(app, ["show", "easy-vqa", "--n", "0"]).exit_code == 2


def test_show_names_the_picture_that_an_answer_draws(easy_vqa_folder):
    arguments = ["show", "easy-vqa-captions", "--split", "test", "--n", "2"]
    told = run(app, arguments).stdout
    assert "a red triangle  ->  [" in told and "what is this?  ->  a red triangle" in told
    drawn, _ = json.loads(run(app, [*arguments, "--json"]).stdout)
    assert drawn["turns"][0]["picture"].endswith("test/images/0.png")

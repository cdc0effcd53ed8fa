"""`chiasm answer` over a library on disk: every pipeline answers, cites, writes and replays."""

import json

import pytest
from tests.answering.files import documents
from tests.answering.pictures import picture, truth
from typer.testing import CliRunner

from chiasm.cli.main import app
from chiasm.errors import ChiasmError, Misuse
from chiasm.ingestion import Options
from chiasm.library import Library


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Six of the documents and five pictures."""
    folder = tmp_path_factory.mktemp("files")
    for one in documents()[:6]:
        path = folder / one["path"]
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"# {one['title']}\n\n{one['text']}\n", encoding="utf-8")
    for number in range(5):
        (folder / f"{number}.png").write_bytes(picture(number))
    location = tmp_path_factory.mktemp("libraries") / "made"
    with Library.create(location, embedder="minilm") as made:
        made.index(folder, options=Options(ocr=False), workers=0)
    return location


def run(*arguments: object):
    return CliRunner().invoke(app, ["answer", *map(str, arguments)])


@pytest.mark.parametrize("name", ["plain", "wiki-llava", "mrag", "industrial-rag"])
def test_a_pipeline_answers_cites_and_replays(library, tmp_path, name):
    trace = tmp_path / "trace.jsonl"
    question = "What does error E14 mean?"
    done = run(library, question, "--pipeline", name, "-k", 6, "--trace", trace)
    assert done.exit_code == 0, done.output
    answer, citation = done.stdout.splitlines()
    assert "the ignition rod is worn out. [" in answer
    assert citation.split("] ")[1].startswith("house/heating.md")
    again = run("--replay", trace, "--trace", tmp_path / "again.jsonl")
    assert again.stdout == done.stdout
    assert (tmp_path / "again.jsonl").read_bytes() == trace.read_bytes()


def test_json_holds_the_citations_and_the_cost(library):
    done = run(library, "Who built the lathe?", "--json", "-k", 3, "--where", "type=section")
    told = json.loads(done.stdout)
    assert told["text"] == "The lathe in the back room was built in 1974 by Weiler. [1]"
    [citation] = told["citations"]
    assert citation["supported"] and citation["path"] == "workshop/lathe.md"
    assert told["seconds"] > 0 and told["notes"] == []


def test_what_is_not_there_is_refused(library):
    done = run(library, "Who was the first president of France?")
    assert done.stdout == "Not in your files.\n" and done.exit_code == 0


def test_pictures_can_be_counted(library):
    """Without a model nothing is known of a picture without words: the answer says 0, and how."""
    done = run(library, "How many circles are there?", "--pipeline", "mmndb", "--json")
    told = json.loads(done.stdout)
    assert told["text"] == "0" and told["notes"][0] == "plan: count circles"
    assert sum(truth("circles").values()) > 0


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ((), "what is asked of which library"),
        (("LIBRARY",), "what is asked of which library"),
        (("LIBRARY", "x", "--pipeline", "mrg"), "did you mean mrag"),
        (("LIBRARY", "x", "--set", "passages"), "write NAME=VALUE"),
        (("LIBRARY", "x", "--set", "depth=3"), "plain has no setting 'depth'"),
        (("LIBRARY", "x", "--where", "page>"), "filter"),
        (("LIBRARY", "x", "--image", "nowhere.png"), "nowhere.png"),
        (("LIBRARY", "x", "--model", "m"), "name the server with --reader"),
        (("LIBRARY", "x", "--reader", "http://127.0.0.1:9/v1", "--model", "m"), "is it running"),
        (("nowhere", "x"), "nowhere: holds no library"),
        (("LIBRARY", "x", "--replay", "trace.jsonl"), "give it alone"),
        (("--replay", "nowhere.jsonl"), "no such trace"),
    ],
)
def test_nonsense_is_one_line(library, arguments, named):
    done = run(*(library if one == "LIBRARY" else one for one in arguments))
    assert isinstance(done.exception, ChiasmError) and named in str(done.exception)
    assert "\n" not in str(done.exception)
    assert isinstance(done.exception, Misuse) or "running" in named

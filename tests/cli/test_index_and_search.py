"""`chiasm index` and `chiasm search` as a person meets them."""

import base64
import io
import json
from pathlib import Path

import pytest
from PIL import Image

from chiasm import weights
from chiasm.cli.contact_sheet import contact_sheet
from chiasm.cli.terminal_pictures import shows_pictures, written
from chiasm.embedders.named import named
from chiasm.retrieval.unit import Hit, Kind, Unit

SAID = Path(__file__).parents[1] / "ingestion" / "said.ogg"


@pytest.fixture(scope="module")
def minilm():
    return named("minilm")


@pytest.fixture(autouse=True)
def loaded_once(minilm, monkeypatch):
    monkeypatch.setattr("chiasm.library.library.named", lambda name: minilm)


def png(colour):
    into = io.BytesIO()
    Image.new("RGB", (61, 43), colour).save(into, "PNG")
    return into.getvalue()


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "my files"
    (root / "deep").mkdir(parents=True)
    (root / "pumps.txt").write_text("The heating pump in the cellar.\n" * 3)
    (root / "deep" / "red_car.png").write_bytes(png("red"))
    (root / "page.html").write_text(
        "<title>Cats</title><p>They sleep <script>alert(1)</script>all day \x1b[31mred.</p>"
        "<img src=../../secret.png>"
    )
    (root / "empty.pdf").write_bytes(b"")
    return root


@pytest.fixture
def indexed(chiasm, folder, tmp_path):
    """Runs `chiasm index`; (code, stdout, stderr)."""

    def run(*more):
        plain = ("--no-ocr", "--no-speech", "--workers", 0, "--embedder", "minilm")
        return chiasm("index", folder, "--into", tmp_path / "library", *plain, *more)

    return run


@pytest.fixture
def library(indexed, tmp_path):
    assert indexed()[0] == 0
    return tmp_path / "library"


@pytest.mark.skipif(not weights.holds("whisper-base"), reason="whisper-base is not fetched")
def test_a_spoken_question_is_words(chiasm, library, tmp_path):
    code, out, err = chiasm("search", library, "--sound", SAID, "--json")
    assert code == 0 and err.startswith("heard: ")
    words = err.removeprefix("heard: ").strip()
    assert json.loads(chiasm("search", library, words, "--json")[1]) == json.loads(out)
    code, out, err = chiasm("search", library, "--sound", tmp_path / "absent.ogg")
    assert code == 2 and err.strip().endswith("absent.ogg: no such file; give a recording")
    code, out, err = chiasm("search", library, "--sound", library / "library.json")
    assert code == 1 and "no sound or film that can be read" in err


def lines(out):
    return [line for line in out.splitlines() if line]


def test_what_was_read_and_what_was_not(indexed, tmp_path):
    code, out, err = indexed()
    first, second = lines(out)
    assert code == 0 and first.startswith("4 files (4 read) in ")
    assert second == f"{tmp_path / 'library'} holds 3 units: 1 image, 1 section, 1 text"
    assert lines(err) == [
        "left out:",
        "  empty.pdf: is empty",
        "read with a note:",
        "  page.html: its picture ../../secret.png is outside the folder: left out",
    ]
    code, out, _ = indexed()
    assert code == 0 and lines(out)[0].startswith("4 files (4 unchanged) in ")


def test_the_summary_as_json(indexed):
    code, out, err = indexed("--json")
    told = json.loads(out)
    assert code == 0 and err == ""
    assert told["units"] == {"image": 1, "section": 1, "text": 1} and told["files"] == 4
    assert told["skipped"] == [{"path": "empty.pdf", "reason": "is empty"}]
    assert told["seconds"] > 0 and told["notes"][0]["path"] == "page.html"


def test_search_prints_where_it_stands(chiasm, library):
    code, out, err = chiasm("search", library, "what heats the house", "-k", 2)
    first, text, *_ = lines(out)
    assert (code, err) == (0, "") and first.startswith(" 1. pumps.txt, line 1  0.2500")
    assert first.endswith("[text] pumps") and text.strip().startswith("The heating pump")


def test_documents_do_not_steer_the_terminal(chiasm, library):
    _, out, _ = chiasm("search", library, "cats that sleep", "-k", 1)
    assert "page.html" in out and "alert" not in out and "\x1b" not in out


def test_search_as_json(chiasm, library):
    code, out, _ = chiasm("search", library, "car", "--where", "type=png", "--json")
    [hit] = json.loads(out)
    assert code == 0 and hit["path"] == "deep/red_car.png"
    assert {"path", "score", "page", "box", "start", "end", "text"} <= hit.keys()
    code, out, _ = chiasm("search", library, "--like", hit["id"], "--json")
    assert code == 0 and hit["id"] not in [one["id"] for one in json.loads(out)]


def test_parts_and_their_weights(chiasm, library):
    def order(*asked):
        code, out, err = chiasm("search", library, *asked, "--json")
        assert code == 0, err
        return [hit["path"] for hit in json.loads(out)]

    assert order("a pump")[0] == "pumps.txt"
    asked = ("sleeping cats and a pump", "--minus", "a heating pump in the cellar")
    assert order(*asked, "--where", "type!=png")[0] == "page.html"
    assert order(*asked, "--weight", "minus=0") == order("sleeping cats and a pump")
    assert order(*asked, "--weight", "minus1=0.0", "--weight", "words=3")


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ((), "nothing is asked for"),
        (("pump", "--minus", "pump"), "cancel out"),
        (("pump", "--like", "nobody"), "no unit has the id 'nobody'"),
        (("pump", "--where", "page>"), "filter, character"),
        (("pump", "--weight", "words"), "--weight words: give a part and a number"),
        (("pump", "--weight", "words=-1"), "--weight words=-1: give a part and a number"),
        (("pump", "--weight", "minus=1"), "the query has no such part; give --minus as well"),
        (("pump", "--weight", "words2=1"), "the query has no such part"),
        (("pump", "--image", "missing.png"), "missing.png: no such file"),
        (("pump", "--rerank", "no-such-model"), "no weights are called 'no-such-model'"),
    ],
)
def test_what_cannot_be_meant_is_one_line(chiasm, library, asked, told):
    code, out, err = chiasm("search", library, *asked)
    assert code == 2 and out == "" and len(lines(err)) == 1 and told in err


def test_a_picture_for_an_embedder_of_words(chiasm, library, folder):
    code, _, err = chiasm("search", library, "--image", folder / "deep" / "red_car.png")
    assert code == 2 and "image given to a model that takes text" in lines(err)[0]


def test_libraries_that_are_none(chiasm, tmp_path, folder, library):
    code, _, err = chiasm("search", folder, "pump")
    assert code == 2 and "holds no library; make one with `chiasm index" in err
    code, _, err = chiasm("index", tmp_path / "missing", "--into", tmp_path / "x", "--no-speech")
    assert code == 2 and "no such folder" in err and not (tmp_path / "x").exists()
    code, _, err = chiasm("index", folder, "--into", folder, "--no-speech")
    assert code == 2 and "is not empty and no library" in err
    code, _, err = chiasm("index", folder, "--into", library, "--no-speech", "--backend", "qdrant")
    assert code == 2 and "was made with --backend lance, not qdrant" in err


def test_a_second_process_waits_and_says_so(indexed, library):
    """Another process holds the library until it has said that it waits."""
    import subprocess
    import sys
    import time

    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, time, filelock\n"
            "with filelock.FileLock(sys.argv[1]):\n    print('held', flush=True); time.sleep(2)",
            str(library / ".lock"),
        ],
        stdout=subprocess.PIPE,
    )
    assert holder.stdout is not None and holder.stdout.readline()
    began = time.monotonic()
    code, out, err = indexed()
    assert code == 0 and "4 unchanged" in out and time.monotonic() - began > 1
    assert lines(err)[0] == "another process is indexing this library; waiting for it"
    holder.wait()


def test_the_contact_sheet_is_whole_and_escaped(chiasm, library, tmp_path):
    page = tmp_path / "sheet.html"
    code, out, _ = chiasm("search", library, "<b>red</b> car", "--html", page)
    told = page.read_text(encoding="utf-8")
    assert code == 0 and str(page) in out
    assert "&lt;b&gt;red&lt;/b&gt; car" in told and "<b>red" not in told
    assert 'src="data:image/jpeg;base64,' in told and "http://" not in told
    evil = Unit(
        id="x",
        path='a"><script>alert(1)</script>.png',
        file="x",
        kind=Kind.IMAGE,
        title="<img src=x onerror=alert(1)>",
        text="</style><script>alert(2)</script>",
        picture=png("red"),
    )
    sheet = contact_sheet("t", [Hit(unit=evil, score=1.0, stage="fused")], "/folder")
    assert "<script" not in sheet and "<img src=x" not in sheet
    assert "default-src 'none'" in sheet


def test_pictures_in_a_terminal_that_shows_them():
    assert shows_pictures({"TERM": "xterm-kitty"}, tty=True)
    assert shows_pictures({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, tty=True)
    assert not shows_pictures({"TERM": "xterm-256color"}, tty=True)
    assert not shows_pictures({"TERM": "xterm-kitty"}, tty=False)
    assert not shows_pictures({"KITTY_WINDOW_ID": "1", "TMUX": "x"}, tty=True)
    noise = Image.effect_noise((300, 300), 99)
    into = io.BytesIO()
    noise.save(into, "PNG")
    codes = written(into.getvalue()).split("\x1b\\")[:-1]
    assert len(codes) > 2 and codes[0].startswith("\x1b_Ga=T,f=100,r=8,m=1;")
    assert all(";" in one and len(one.split(";")[1]) <= 4096 for one in codes)
    data = base64.b64decode("".join(one.split(";")[1] for one in codes))
    assert Image.open(io.BytesIO(data)).size == (300, 300) and "m=0;" in codes[-1]

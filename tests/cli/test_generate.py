"""`chiasm generate`: pictures that are written, and what is refused."""

import json
from dataclasses import replace

import pytest
from PIL import Image
from tests.tiny import tiny_answers

from chiasm import hub
from chiasm.assemble import build
from chiasm.data.templates import NANO
from chiasm.data.tokenizer import fit_tokenizer
from chiasm.spec import registered

PROMPT = "a red circle"


@pytest.fixture(scope="session")
def artist(tmp_path_factory):
    """A fresh tiny system that draws."""
    systems = registered()
    slug = next((s for s in systems if systems[s].at("nano").head.latent is not None), None)
    if slug is None:
        pytest.skip("no system draws")
    tokenizer = fit_tokenizer([PROMPT, "a blue cup"], 300)
    answers = tiny_answers(systems[slug].at("nano"))
    host = replace(answers.host, vocabulary=len(tokenizer), max_positions=120)
    folder = tmp_path_factory.mktemp("runs") / "artist"
    model = build(replace(answers, host=host))
    hub.save(model, folder, slug=slug, scale="nano", tokenizer=tokenizer, template=NANO)
    return folder


def test_a_picture_is_written_and_follows_its_seed(chiasm, artist, tmp_path):
    out = [tmp_path / f"{n}.png" for n in range(3)]
    for path, seed in zip(out, (1, 1, 2), strict=True):
        code, said, err = chiasm(
            "generate", artist, PROMPT, "--out", path, "--steps", 2, "--seed", seed
        )
        assert (code, err) == (0, "") and said == f"{path}: 10x6 pixels\n"
    first, same, other = (Image.open(path).tobytes() for path in out)
    assert first == same and first != other


def test_several_pictures_get_numbers_and_json_names_them(chiasm, artist, tmp_path):
    code, said, _ = chiasm(
        *("generate", artist, PROMPT, "--out", tmp_path / "x.png", "--count", 2),
        *("--steps", 1, "--json"),
    )
    told = json.loads(said)
    assert code == 0 and [entry["file"] for entry in told] == [
        str(tmp_path / "x-1.png"),
        str(tmp_path / "x-2.png"),
    ]
    one, other = (Image.open(entry["file"]) for entry in told)
    assert one.size == (10, 6) and one.tobytes() != other.tobytes()


def test_a_picture_may_be_started_from(chiasm, artist, picture, tmp_path):
    arguments = ["generate", artist, PROMPT, "--steps", 1, "--image-guidance", 1.5]
    code, _, err = chiasm(*arguments, "--image", picture, "--out", tmp_path / "a.png")
    assert (code, err) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--steps", "0"], "at least 1 step, not 0"),
        (["--count", "0"], "cannot draw 0 pictures"),
        (["--rescale", "rows"], "choose none, picture, row, text-row"),
        (["--out", "picture.gif"], "end the name in .png"),
        (["--out", "nowhere/picture.png"], "nowhere: no such folder"),
        (["--image", "missing.png"], "missing.png: no such file"),
        (["--guided-above", "2"], "covers nothing"),
    ],
)
def test_misuse_is_one_line(chiasm, artist, monkeypatch, tmp_path, arguments, said):
    monkeypatch.chdir(tmp_path)
    code, _, err = chiasm("generate", artist, PROMPT, *arguments)
    assert code == 2 and err.count("\n") == 1 and said in err


def test_a_system_that_does_not_draw_is_named(chiasm, checkpoint):
    code, _, err = chiasm("generate", checkpoint, PROMPT)
    assert code == 2 and "draws no pictures" in err and err.count("\n") == 1

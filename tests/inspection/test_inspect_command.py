"""`chiasm inspect`: five looks, each as a table, a record and a page with pictures."""

import json

import pytest
from PIL import Image
from typer.testing import CliRunner

from chiasm.cli.main import app
from chiasm.errors import Misuse

WORDS = ("red", "blue")


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """A file of 24 pictures, each asked its colour."""
    folder = tmp_path_factory.mktemp("colours")
    records = []
    for at in range(24):
        color = WORDS[at // 2 % 2]
        Image.new("RGB", (40, 24), color).save(folder / f"{at}.png")
        said = [
            {"from": "human", "value": "<image>\nwhat color is it?"},
            {"from": "gpt", "value": color},
        ]
        records.append({"id": str(at), "image": f"{at}.png", "conversations": said})
    path = folder / "asked.json"
    path.write_text(json.dumps(records))
    return path


def inspect(*arguments: object) -> str:
    done = CliRunner().invoke(
        app, ["inspect", *map(str, arguments)], standalone_mode=False, catch_exceptions=False
    )
    return done.stdout


@pytest.mark.parametrize(
    ("verb", "options", "drawn"),
    [
        ("heads", ["--limit", 10], ("heads", "looks", "silenced")),
        ("probe", ["--taught", 12, "--question", "what color is it?"], ("stages",)),
        ("shots", ["-k", "0,2", "--by", "random", "--limit", 4], ("shots", "copying")),
    ],
)
def test_a_look_is_a_record_and_a_page_with_its_pictures(
    folders, asked, tmp_path, verb, options, drawn
):
    out = tmp_path / "out"
    folder = folders("llava-1.5")
    said = inspect(verb, folder, "--data", asked, *options, "--json", "--out", out)
    record = json.loads(said)
    kept = json.loads((out / "report.json").read_text())
    assert {key: kept[key] for key in record} == record
    assert str(tmp_path) not in (out / "report.html").read_text()
    assert {path.stem for path in out.glob("*.png")} == set(drawn)
    page = (out / "report.html").read_text()
    assert page.count("<svg") == len(drawn) and "How this was made" in page
    for path in out.glob("*.png"):
        assert len(Image.open(path).convert("RGB").getcolors(1 << 24) or ()) > 10


def test_alignment_with_itself_is_one_and_scores_are_predicted(folders, asked):
    folder = folders("llava-1.5")
    models = ["law", *[folder] * 3, "--reference", folder, "--data", asked, "--limit", 6]
    said = json.loads(inspect(*models, "--pairs", 4, *["--score", 0.5] * 3, "--json"))
    assert [one["A"] for one in said["settings"]] == pytest.approx([1, 1, 1])
    assert said["law"]["AC"]["predicted"] == pytest.approx([0.5] * 3, abs=1e-3)
    table = inspect(*models, "--pairs", 4)
    assert "alignment and correspondence" in table


def test_bad_input_is_one_sentence(folders, asked, tmp_path):
    folder = folders("llava-1.5")
    (tmp_path / "there").write_text("x")
    wrong = {
        "not an empty folder": ["heads", folder, "--out", tmp_path],
        "write numbers": ["shots", folder, "--data", asked, "-k", "few"],
        "give one each": ["law", folder, "--reference", folder, "--data", asked, "--score", 0.1],
        "0 and 0 pictures": ["probe", folder, "--data", asked, "--question", "why?"],
    }
    for words, arguments in wrong.items():
        with pytest.raises(Misuse, match=words):
            inspect(*arguments)

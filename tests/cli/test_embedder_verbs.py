"""The verbs on embedders: taught, judged, reported; misuse in one line."""

import json

import pytest
from tests.cli.test_ask import one_line

from chiasm.embedders.folder import open_folder
from chiasm.embedders.judging import chance, place_of_right
from chiasm.errors import ChiasmError
from chiasm.spec.embedder import registered_embedders

pytestmark = pytest.mark.skipif("align" not in registered_embedders(), reason="no align")


def test_compare_teaches_judges_and_reports(chiasm, tmp_path):
    slugs = [s for s in ("align", "unite") if s in registered_embedders()]
    given = ("--data", "scenes-captions", "--samples", 64, "--limit", 13, "--threads", 1)
    code, out, err = chiasm("compare", *slugs, *given, "--out", tmp_path / "new")
    assert code == 0, err
    assert "chance" in out and all(slug in out for slug in slugs)
    report = json.loads((tmp_path / "new" / "report.json").read_text())
    assert [one["system"] for one in report["systems"]] == slugs
    for one in report["systems"]:
        assert one["samples"] >= 64
        for judged in one["judged"]:
            assert judged["documents"] == 13 and judged["bytes_per_document"] == 4 * 96
            shares = [entry["recall"] for entry in judged["recalls"]]
            assert shares == sorted(shares)
            assert all(e["low"] <= e["recall"] <= e["high"] for e in judged["recalls"])
    assert open_folder(tmp_path / "new" / slugs[0]).slug == slugs[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("train", "align", "--samples", 5, "--set", "a=1"), "--set"),
        (("train", "align", "--samples", 5, "--data", "nothing"), "nothing"),
        (("train", "align", "--samples", 5, "--scale", "paper"), "paper"),
        (("compare", "align", "align", "--data", "scenes-captions", "--samples", 5), "twice"),
        (("compare", "align", "--data", "scenes-captions", "--flops", 1e9), "FLOPs"),
        (("show", "alignn"), "align"),
    ],
)
def test_misuse_is_one_line(chiasm, tmp_path, arguments, said):
    out = ("--out", tmp_path / "new") if arguments[0] != "show" else ()
    code, _, err = chiasm(*arguments, *out)
    assert code == 2 and said in one_line(err)


def test_show_counts_parameters(chiasm):
    code, out, _ = chiasm("show", "align", "--json")
    record = json.loads(out)
    assert code == 0 and record["slug"] == "align" and len(record["answers"]) == 6
    assert sum(record["parameters"].values()) > 8e8


def test_chance_ties_and_damaged_folders(tmp_path):
    import torch

    assert chance(100, 1, 10) == pytest.approx(0.0956, abs=1e-3) and chance(5, 5, 1) == 1
    scores = torch.tensor([[1.0, 1.0, 0.5], [0.2, 0.9, 0.1]])
    right = torch.tensor([[True, False, False], [True, True, False]])
    assert place_of_right(scores, right).tolist() == [1, 0]
    for content in ("", "{}", '{"format": 9}'):
        (tmp_path / "embedder.json").write_text(content)
        with pytest.raises(ChiasmError):
            open_folder(tmp_path)

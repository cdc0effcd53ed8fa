"""The other verbs: what they print, and one line for every misuse."""

import json

import pytest
from tests.cli.test_ask import one_line

from chiasm.spec import registered


@pytest.mark.parametrize("verb", ["show", "explain", "cost", "train"])
def test_an_unknown_system_is_offered_the_nearest_names(chiasm, verb):
    slug = next(iter(registered()))
    code, _, err = chiasm(verb, slug[:-1] + "q", *(["--samples", 1] if verb == "train" else []))
    assert code == 2 and slug in one_line(err)


@pytest.mark.parametrize("scale", ["nano", "smol", "paper"])
@pytest.mark.parametrize("slug", registered())
def test_show_prints_every_answer(chiasm, slug, scale):
    code, out, _ = chiasm("show", slug, "--scale", scale)
    assert code == 0
    for name in ("encoder:", "connector:", "fusion:", "visibility:", "experts:", "compression:"):
        assert name in out
    code, out, _ = chiasm("show", slug, "--scale", scale, "--json")
    assert json.loads(out)["slug"] == slug and len(json.loads(out)["answers"]) == 13


@pytest.mark.parametrize("slug", registered())
def test_explain_tells_layers_and_places(chiasm, slug):
    code, out, _ = chiasm("explain", slug)
    assert code == 0 and "backbone/block.py:" in out and "Layer" in out
    depth = registered()[slug].at("paper").host.depth
    assert f"{depth - 1}" in out


def test_an_unknown_scale(chiasm):
    code, _, err = chiasm("show", next(iter(registered())), "--scale", "giant")
    assert code == 2 and "nano, smol, paper" in one_line(err)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "--minutes"),
        (["--minutes", "1", "--samples", "5"], "minutes and samples"),
        (["--samples", "5", "--budget", "flops"], "--budget flops"),
        (["--samples", "5", "--scale", "paper"], "paper"),
        (["--samples", "5", "--limit", "0"], "--limit"),
    ],
)
def test_compare_refuses_what_cannot_be_meant(chiasm, tmp_path, options, said):
    slug = next(iter(registered()))
    code, _, err = chiasm(
        *("compare", slug, "--data", "easy-vqa", "--out", tmp_path / "new", *options)
    )
    assert code == 2 and said in one_line(err)
    assert not (tmp_path / "new").exists()

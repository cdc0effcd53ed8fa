"""`chiasm cost` on the command line."""

import json

import pytest
import typer
from typer.testing import CliRunner

from chiasm.cli.cost import cost
from chiasm.errors import Misuse
from chiasm.spec import registered

app = typer.Typer()
app.command()(cost)
KEYS = {
    "system",
    "scale",
    "visual_tokens",
    "text_tokens",
    "parameters",
    "parameters_trained",
    "parameters_active",
    "prefill_flops",
    "prefill_flops_executed",
    "decode_flops",
    "kv_bytes",
    "peak_bytes_predicted",
}


def invoke(*arguments, columns=100):
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": str(columns)})


def objects(*arguments):
    result = invoke(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def needed(*slugs):
    missing = [slug for slug in slugs if slug not in registered()]
    if missing:
        pytest.skip(f"systems/ has no {', '.join(missing)}")


def refused(*arguments):
    error = invoke(*arguments).exception
    assert isinstance(error, Misuse), error
    assert "\n" not in str(error)
    return str(error)


def test_json_holds_the_promised_fields_of_every_system():
    slugs = list(registered())
    found = objects(*slugs, "--scale", "nano", "--text", "7")
    assert [entry["system"] for entry in found] == slugs
    assert all(entry.keys() >= KEYS for entry in found)
    assert {entry["scale"] for entry in found} == {"nano"}
    assert {entry["text_tokens"] for entry in found} == {7}


def test_text_names_the_convention_and_prints_the_published_figures():
    needed("saisa", "llava-1.5")
    out = invoke("llava-1.5", "saisa", "--scale", "paper", "--visual", "576", "--text", "64").stdout
    for said in ("8.53", "2.86", "2 FLOPs", "dense", "no LM head", "visible pairs"):
        assert said in out
    header = next(line for line in out.splitlines() if line.startswith("system"))
    assert {"encoder", "connector", "decoder", "head", "ratio"} <= set(header.split())
    assert max(map(len, out.splitlines())) <= 100
    assert "…" not in out


def test_tables_show_every_system_whole_at_100_columns():
    out = invoke(*registered()).stdout
    assert "…" not in out
    assert all(
        sum(line.split()[:1] == [slug] for line in out.splitlines()) == 2 for slug in registered()
    )


def test_visual_tokens_that_a_system_cannot_have_are_refused_in_a_line():
    needed("storm")
    refused = invoke("storm", "--visual", "577", "--image", "384x384")
    assert isinstance(refused.exception, Misuse)
    assert "storm cannot be counted at 577 visual tokens" in str(refused.exception)


def test_an_answer_is_set_for_one_system_or_all():
    needed("ee-mllm", "llava-1.5")
    ask = ("llava-1.5", "ee-mllm", "--scale", "nano", "--visual", "13")
    plain = objects(*ask)
    one = objects(*ask, "--set", "ee-mllm:fusion.visual_path=diag")
    both = objects(*ask, "--set", "host.depth=5")
    assert one[0] == plain[0]
    assert one[1]["prefill_flops"] > plain[1]["prefill_flops"]
    assert all(b["kv_bytes"] * 3 == p["kv_bytes"] * 5 for b, p in zip(both, plain, strict=True))


def test_the_image_says_how_many_tokens_unless_told():
    needed("llava-1.5")
    assert objects("llava-1.5", "--image", "300x500")[0]["image"] == [300, 500]
    assert objects("llava-1.5")[0]["visual_tokens"] == 576
    assert objects("llava-1.5", "--visual", "13")[0]["visual_tokens"] == 13


def test_number_types_change_bytes_only():
    needed("llava-1.5")
    half, full = objects("llava-1.5")[0], objects("llava-1.5", "--dtype", "fp32")[0]
    assert full["kv_bytes"] == 2 * half["kv_bytes"]
    assert full["weight_bytes"] == 2 * half["weight_bytes"]
    assert full["prefill_flops"] == half["prefill_flops"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--text", "-1"], "-1 text tokens"),
        (["--visual", "-3"], "-3 visual tokens"),
        (["--text", "99999999999999"], "99999999999999 text tokens"),
        (["--image", "12"], "336x336"),
        (["--image", "0x10"], "0x10"),
        (["--scale", "huge"], "unknown scale 'huge'"),
        (["--dtype", "int3"], "fp32, bf16, fp16"),
        (["--set", "fusion.nonsense=3"], "no 'nonsense'"),
        (["--set", "host"], "--set host"),
        (["--set", "elsewhere:host.depth=3"], "elsewhere is not counted"),
        (["--set", "host.width=-4"], "build no model"),
    ],
)
def test_bad_requests_get_one_line(arguments, said):
    assert said in refused(next(iter(registered())), *arguments)


def test_an_unknown_system_is_refused_with_near_names():
    needed("saisa")
    assert "saisa" in refused("sisaa")

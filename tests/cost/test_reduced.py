"""Prefills whose visual rows change by layer: by the formula, by hand, and beside the bill."""

import json
from dataclasses import replace

import pytest
import torch
import typer
from typer.testing import CliRunner

from chiasm.cli.cost import cost, runs
from chiasm.compression.alive import counted
from chiasm.compression.evidence import Asks, DecoderAttention
from chiasm.compression.method import HostShape, method
from chiasm.compression.operations import VisualOperations, first_heads
from chiasm.compression.quantised import Codec, quantise
from chiasm.compression.stated import stated_methods, together
from chiasm.cost import count
from chiasm.cost.operations import visual_flops, visual_matrix_flops
from chiasm.cost.reduced import kv_bytes, own_lines, packed_bytes, prefill_flops
from chiasm.errors import Misuse
from chiasm.lineages.hosts import QWEN2_7B, VICUNA_7B, VICUNA_13B
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Scale

NANO = VISION_LANGUAGE[Scale.NANO]
SMALL = replace(
    NANO,
    host=replace(
        NANO.host, width=29, depth=7, heads=6, kv_heads=2, head_width=5, ff_width=37, ff_widths=()
    ),
)
TEXT = 11
VISUAL = 23


def billed(compress=None, visual=VISUAL, **changes):
    return count(replace(SMALL, **changes), visual=visual, text=TEXT, compress=compress)


@pytest.mark.parametrize("visual", [(23,) * 7, (23, 23, 5, 5, 5, 1, 0), (0,) * 7])
def test_prefill_is_its_formula(visual):
    """sum_l 2 n_l P_l + 4 n_l^2 d, P_l the layer's matrices and d all heads side by side."""
    host = SMALL.host
    weights = 29 * 30 * 2 + 29 * 10 * 2 + 3 * 29 * 37
    rows = [TEXT + n for n in visual]
    dense = sum(2 * n * weights + 4 * n * n * 30 for n in rows)
    seen = sum(2 * n * weights + 4 * 30 * n * (n + 1) // 2 for n in rows)
    assert prefill_flops(host, visual, text=TEXT) == dense
    assert prefill_flops(host, visual, text=TEXT, visible=True) == seen
    assert kv_bytes(host, visual, text=TEXT, size=4) == sum(4 * 2 * 10 * n for n in rows)


def test_layers_of_their_own_width_are_billed_so():
    host = replace(SMALL.host, ff_widths=(37, 37, 3, 3, 3, 3, 3))
    fewer = prefill_flops(SMALL.host, (5,) * 7, text=2) - prefill_flops(host, (5,) * 7, text=2)
    assert fewer == 5 * 2 * 7 * 3 * 29 * 34


@pytest.mark.parametrize(
    "compress", ["uniform:keep=0.31", "fastv:keep=0.4", "uniform:keep=0.7+fastv:keep=0.6,layer=3"]
)
def test_a_systems_bill_is_the_formula_of_its_tokens_alive(compress):
    bill = billed(compress)
    shape = HostShape(depth=7, first=1, blocks=2, class_token=False)
    found = counted(together(stated_methods(compress), shape), ((VISUAL,),), 7)
    assert bill.rows_by_layer == tuple(TEXT + n for n in found.alive)
    assert bill.part_flops("decoder") == prefill_flops(SMALL.host, found.alive, text=TEXT)
    lines = [line for line in bill.prefill if line.part == "decoder"]
    seen = prefill_flops(SMALL.host, found.alive, text=TEXT, visible=True)
    assert 2 * sum(line.visible for line in lines) == seen
    assert bill.kv_bytes == kv_bytes(SMALL.host, found.alive, text=TEXT)


def test_rows_gone_at_the_entry_cost_what_a_smaller_picture_costs():
    kept = billed("uniform:keep=0.3").rows - TEXT
    assert kept == VISUAL
    cut, smaller = billed("uniform:keep=0.3"), billed(visual=7)
    assert cut.rows_by_layer == (TEXT + 7,) * 7
    assert cut.part_flops("decoder") == smaller.part_flops("decoder")
    assert cut.kv_bytes == smaller.kv_bytes and cut.decode_flops == smaller.decode_flops
    assert cut.part_flops("head") == smaller.part_flops("head")
    assert cut.part_flops("encoder") == smaller.part_flops("encoder")
    assert cut.peak_bytes_predicted <= billed().peak_bytes_predicted


def test_keeping_everything_is_the_same_bill():
    whole, kept = billed(), billed("uniform:keep=1")
    assert kept.prefill_flops == whole.prefill_flops and kept.kv_bytes == whole.kv_bytes
    assert kept.prefill_flops_executed == whole.prefill_flops_executed
    assert kept.peak_bytes_predicted == whole.peak_bytes_predicted


def test_scoring_rows_are_billed():
    """FastV scores one query row: rows x heads x head width multiply-adds."""
    bill = billed("fastv:keep=0.4")
    assert bill.part_flops("compression") == 2 * (TEXT + VISUAL) * 30
    assert bill.prefill_flops == sum(map(bill.part_flops, ("connector", "decoder", "compression")))


@pytest.mark.parametrize(
    ("asks", "queries"), [(Asks.LAST, 1), (Asks.QUESTION, 5), (Asks.ALL, TEXT + VISUAL)]
)
def test_a_look_costs_the_query_rows_that_it_needs(asks, queries):
    (one,) = method("fastv", keep=0.4).reducers(
        HostShape(depth=7, first=1, blocks=0, class_token=False)
    )
    looking = replace(one, scorer=replace(one.scorer, asks=asks))
    assert looking.needs == (DecoderAttention(asks=asks, back=1),)
    found = counted((looking,), ((VISUAL,),), 7)
    (line,) = own_lines(found, SMALL.host, text=TEXT, question=5, encoder=3)
    assert line.dense == line.visible == queries * (TEXT + VISUAL) * 30


def test_published_prefills():
    """AIM's table and LLaVA-Mini's baseline, decoder alone, dense pairs."""
    aim = (1568,) * 14 + (1372, 1176, 980, 784, 588, 392, 196) + (0,) * 7
    assert prefill_flops(QWEN2_7B, (6272,) * 28, text=100) / 1e12 == pytest.approx(99.5, rel=1e-3)
    assert prefill_flops(QWEN2_7B, aim, text=100) / 1e12 == pytest.approx(14.75, rel=1e-3)
    assert prefill_flops(VICUNA_7B, (576,) * 32, text=64) / 1e12 == pytest.approx(8.50, rel=1e-3)


@pytest.mark.evidence(slug="visual-kv-quant", grade="lawful")
def test_packed_bytes_of_an_image():
    """576 tokens in 1 bit: 18 MiB of codes; 4 bytes a channel of keys and of values are 1 MiB."""
    codes = 32 * 2 * packed_bytes(576, 4096, bits=1, parameters=0)
    assert kv_bytes(VICUNA_7B, (576,) * 32, text=0) == 288 * 2**20 and codes == 18 * 2**20
    assert 32 * 2 * packed_bytes(576, 4096, bits=1, parameters=4) - codes == 2**20
    assert packed_bytes(9, 7, bits=1, parameters=0) == 2 * 7
    assert packed_bytes(9, 7, bits=2, parameters=0) == 3 * 7


@pytest.mark.evidence(slug="visual-kv-quant", grade="lawful")
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_the_arithmetic_is_the_codecs_own_bytes(bits):
    """Of keys of one layer in 16 bits: codes, and a step and a low for every channel."""
    rows = torch.randn(1, 3, 576, 7, generator=torch.Generator().manual_seed(0)).bfloat16()
    packed = quantise(rows, torch.ones(1, 576, dtype=torch.bool), Codec(bits=bits))
    each = packed.scale_bytes // 21
    assert each in (4, 8)
    assert packed.bytes == packed_bytes(576, 21, bits=bits, parameters=each)


@pytest.mark.evidence(slug="yopo", grade="lawful")
def test_the_worked_example_leaves_29_percent_of_the_matrices():
    """1/2 (3/4 4 d^2 + 1/2 3 d f) / (4 d^2 + 3 d f) on 13B."""
    d, f = 5120, 13_824
    done = VisualOperations(window=5, heads=first_heads(40, 40, 30, whole=0), split=2, stop=20)
    whole = visual_matrix_flops(VICUNA_13B, VisualOperations(), 576)
    assert whole == 40 * 2 * 576 * (4 * d * d + 3 * d * f)
    left = visual_matrix_flops(VICUNA_13B, done, 576) / whole
    assert left == pytest.approx(0.5 * (0.75 * 4 * d * d + 1.5 * d * f) / (4 * d * d + 3 * d * f))
    assert left == pytest.approx(0.29, abs=0.005)


def test_pairs_of_visual_rows_by_hand():
    host = SMALL.host
    none, window = VisualOperations(), VisualOperations(window=3)
    pairs = (15 * 16 // 2 + 4 * 15, 7 * 13 + 4 * 15)
    for done, seen in zip((none, window), pairs, strict=True):
        found = visual_flops(host, done, (3, 5), text=4) - visual_matrix_flops(host, done, 15)
        assert found == 7 * 4 * seen * 30
    stopped = VisualOperations(stop=2, heads=first_heads(7, 6, 1, whole=1))
    own = visual_flops(host, stopped, (3, 5)) - visual_matrix_flops(host, stopped, 15)
    assert own == 4 * 120 * 5 * (6 + 1)


app = typer.Typer()
app.command()(cost)


def invoke(*arguments):
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "100"})


def test_the_command_shows_each_system_bare_and_compressed():
    out = invoke("llava-1.5", "--compress", "fastv:keep=0.25", "--compress", "random:keep=0.5")
    assert out.exit_code == 0, out.output
    for said in ("[1] fastv:keep=0.25", "640 to layer 1, 179 to layer 31", "[2] random:keep=0.5"):
        assert said in out.stdout
    lines = [line for line in out.stdout.splitlines() if line.startswith("llava-1.5")]
    assert len(lines) == 6 and "…" not in out.stdout
    assert max(map(len, out.stdout.splitlines())) <= 100


def test_json_says_which_rows_each_layer_runs():
    result = invoke("llava-1.5", "--scale", "nano", "--json", "--compress", "uniform:keep=0.5")
    whole, cut = json.loads(result.stdout)
    assert whole["compress"] is None and whole["rows_by_layer"] is None
    assert cut["compress"] == "uniform:keep=0.5" and len(cut["rows_by_layer"]) == 3
    assert cut["kv_bytes"] < whole["kv_bytes"] and cut["compression_flops"] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("llava-1.5", "nope:keep=0.5"), "unknown compression method 'nope'"),
        (("llava-1.5", "fastv:keep=0.01"), "keep=0.01 is not above it"),
        (("flamingo", "fastv:keep=0.5"), "flamingo has no visual rows that only its sequence"),
        (("omnimamba", "fastv:keep=0.5"), "omnimamba keeps no keys of single rows"),
    ],
)
def test_what_cannot_be_compressed_is_refused(arguments, said):
    slug, methods = arguments
    error = invoke(slug, "--compress", methods).exception
    assert isinstance(error, Misuse) and said in str(error) and "\n" not in str(error)


def test_runs_of_layers():
    assert runs((9, 9, 4, 4, 4, 2)) == "9 to layer 1, 4 to layer 4, 2 to layer 5"

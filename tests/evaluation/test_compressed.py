"""Methods judged beside the full model: what is counted, compared and flagged."""

from contextlib import nullcontext
from dataclasses import replace

import pytest

from chiasm.assemble import build
from chiasm.compressing import compress
from chiasm.cost import count, sample_inputs
from chiasm.cost.latency import in_turn
from chiasm.evaluation.compressed import Judged, Kept, difference
from chiasm.evaluation.compressed_cost import Cost, Prompt, by_layer, timed
from chiasm.evaluation.difference import Difference
from chiasm.evaluation.predict import Prediction
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Scale

_NANO = VISION_LANGUAGE[Scale.NANO]
ANSWERS = replace(
    _NANO,
    encoder=replace(_NANO.encoder, patch=8, depth=2, stem=(5, 7, 11), width=44),
    host=replace(_NANO.host, depth=5, width=60, heads=3, kv_heads=3, head_width=20, ff_width=70),
)
IMAGE = 64, 64
TEXT = 7


@pytest.fixture
def prompt():
    inputs = sample_inputs(ANSWERS, text=TEXT, image_size=IMAGE)
    return Prompt(model=build(ANSWERS, seed=1).eval(), inputs=inputs, image=IMAGE)


def test_layers_hold_what_was_kept_last():
    assert by_layer([], 3, 11) == [11, 11, 11]
    assert by_layer([(0, 64), (0, 32), (3, 5)], 5, 64) == [32, 32, 32, 5, 5]


def test_batches_add_up_and_a_batch_without_pictures_adds_nothing():
    kept = Kept(4)
    for batch in ([(0, 10), (2, 4)], [], [(0, 6)]):
        kept.add(batch)
    assert (kept.whole, kept.alive) == (16, 2 * 10 + 2 * 4 + 4 * 6)


def said(*right: int) -> list[Prediction]:
    return [
        Prediction(str(number // 2), "?", "yes", "yes" if one else "no")
        for number, one in enumerate(right)
    ]


def test_differences_are_paired():
    """Two of eight answers differ, all for the better: unpaired accuracies would overlap."""
    own, other = said(1, 1, 1, 1, 0, 0, 1, 1), said(1, 1, 1, 0, 0, 0, 1, 0)
    found = difference(own, other)
    assert found.value == pytest.approx(0.25)
    assert found.low + found.high == pytest.approx(0.5)
    same = difference(own, own)
    assert (same.value, same.low, same.high) == (0, 0, 0) and same.verdict == "zero within"


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.1, 0.3, "beats"),
        (-0.3, -0.1, "loses"),
        (-0.1, 0.3, "zero within"),
        (0, 0.2, "zero within"),
    ],
)
def test_only_an_interval_without_zero_decides(low, high, verdict):
    assert Difference(value=(low + high) / 2, low=low, high=high).verdict == verdict


@pytest.mark.parametrize(
    ("flops", "ms", "flag"),
    [(50, 9.0, False), (50, 10.0, True), (50, 12.0, True), (100, 12.0, False), (50, None, None)],
)
def test_a_saving_of_flops_alone_is_flagged(flops, ms, flag):
    def row(prefill_flops, prefill_ms):
        cost = Cost(prefill_flops=prefill_flops, kv_bytes=1, peak_bytes=1, prefill_ms=prefill_ms)
        return Judged(method="x", keep=0.5, cost=cost)

    assert row(flops, ms).saves_no_time(row(100, 10.0)) is flag


def test_the_full_models_flops_are_the_bills(prompt):
    found = prompt.cost(nullcontext, None)
    bill = count(ANSWERS, text=TEXT, image_size=IMAGE, dtype="fp32")
    assert found.prefill_flops == bill.prefill_flops
    assert found.kv_bytes == bill.kv_bytes and found.peak_bytes > bill.weight_bytes


@pytest.mark.parametrize("name", ["uniform", "fastv", "visionzip"])
def test_a_fixed_methods_measured_flops_and_bytes_are_the_bills(prompt, name):
    """The bill reckons with the method's budgets, the cost with what was alive."""
    found = prompt.cost(lambda: compress(prompt.model, name, keep=0.5), f"{name}:keep=0.5")
    bill = count(ANSWERS, text=TEXT, image_size=IMAGE, dtype="fp32", compress=f"{name}:keep=0.5")
    assert found.prefill_flops == bill.prefill_flops < prompt.cost(nullcontext, None).prefill_flops
    assert found.kv_bytes == bill.kv_bytes


def test_times_are_taken_in_turn_and_under_the_context(prompt, monkeypatch):
    taken = []

    def seconds(self, attach, tokens):
        with attach() as context:
            taken.append(context is not None)
        return len(taken) / 1e3, tokens / 1e3

    monkeypatch.setattr(Prompt, "seconds", seconds)
    cost = Cost(prefill_flops=1, kv_bytes=1, peak_bytes=1)
    attach = {"full": nullcontext, "own": lambda: compress(prompt.model, "uniform", keep=0.5)}
    found = timed(prompt, attach, dict.fromkeys(attach, cost), repeats=3, tokens=5)
    assert taken == [False, True] * 5
    assert (found["full"].prefill_ms, found["own"].prefill_ms) == pytest.approx((7.0, 8.0))
    assert found["own"].decode_ms == pytest.approx(5.0)


def test_prefill_and_decoding_take_time(prompt):
    first, later = prompt.seconds(lambda: compress(prompt.model, "uniform", keep=0.25), 3)
    assert first > 0 and later > 0


def test_turns_alternate():
    order = []
    runs = {name: lambda name=name: order.append(name) or len(order) for name in "ab"}
    assert in_turn(runs, repeats=2, warm_up=1) == {"a": [3, 5], "b": [4, 6]}
    assert order == list("ababab")

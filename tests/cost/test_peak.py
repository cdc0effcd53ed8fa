"""Predicted peak memory against the meter, and the meter against hand counts."""

from dataclasses import replace

import pytest
import torch

from chiasm.assemble import build
from chiasm.cost import count, peak_memory, sample_inputs
from chiasm.cost.latency import prefill
from chiasm.cost.memory import LiveBytes
from chiasm.encoders import VisionTransformer
from chiasm.spec import Fixed, Host, Scale, registered

MID = Host(
    vocabulary=1009,
    width=384,
    depth=4,
    heads=6,
    kv_heads=6,
    head_width=64,
    ff_width=1032,
)


def measured(answers, image):
    """(bill, measured peak, bytes of buffers that are not weights)."""
    bill = count(answers, text=61, image_size=image, dtype="fp32")
    model = build(answers).eval().requires_grad_(False)
    inputs = sample_inputs(answers, text=61, image_size=image)
    buffers = sum(buffer.numel() * buffer.element_size() for buffer in model.buffers())
    return bill, peak_memory(model, lambda: prefill(model, inputs)), buffers


@pytest.mark.parametrize("slug", registered())
def test_nano_peak_is_predicted_within_a_tenth(slug):
    bill, peak, _ = measured(registered()[slug].at(Scale.NANO), (64, 64))
    assert bill.peak_bytes_predicted == pytest.approx(peak, rel=0.1)


@pytest.mark.parametrize("slug", ["llava-1.5", "saisa", "ee-mllm", "llava-mini"])
def test_what_a_mid_size_prefill_adds_to_its_weights_is_predicted_within_a_tenth(slug):
    systems = registered()
    if slug not in systems:
        pytest.skip(f"systems/ has no {slug}")
    encoder = VisionTransformer(patch=8, width=128, depth=1, heads=4, ff_width=256)
    answers = replace(
        systems[slug].at(Scale.NANO), host=MID, views=Fixed(256, 256), encoder=encoder
    )
    bill, peak, buffers = measured(answers, (256, 256))
    added = peak - bill.weight_bytes - buffers
    assert added > 0.5 * bill.weight_bytes
    assert bill.peak_bytes_predicted - bill.weight_bytes == pytest.approx(added, rel=0.1)


def test_views_share_their_bytes_and_released_tensors_leave():
    held = torch.zeros(7)
    with LiveBytes((held,)) as meter:
        first = torch.zeros(100)
        view = first[3:50].view(-1)
        assert meter.live == 4 * 107
        second = view + 1
        del first
        assert meter.live == 4 * (107 + 47)
        del view
        assert meter.live == 4 * (7 + 47)
        del second
    assert meter.live == 4 * 7 and meter.peak == 4 * (107 + 47)


def test_what_was_there_before_is_not_counted():
    before = torch.ones(1000)
    with LiveBytes() as meter:
        part = before[:10]
        made = part * 2
    assert meter.peak == 4 * 10 == made.numel() * 4


def test_what_an_operation_holds_inside_is_counted():
    linear = torch.nn.Linear(5, 3).requires_grad_(False)
    rows = torch.ones(11, 5)
    with torch.inference_mode():
        peak = peak_memory(linear, lambda: torch.nn.functional.gelu(linear(rows)).sum())
    assert peak == 4 * (5 * 3 + 3) + 4 * 2 * 11 * 3

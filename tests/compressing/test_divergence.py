"""The measure of what quantised rows do to answers."""

from dataclasses import replace

import pytest
import torch
from tests.tiny import batch, ragged, shared_model, tiny

from chiasm.backbone import GrowingCache
from chiasm.compressing.divergence import divergence, kl_of
from chiasm.compressing.visual_cache import VisualCache
from chiasm.compression.methods.visual_kv_quant import VisualKVQuant
from chiasm.errors import Misuse

VARIANTS = {
    "neither": {"key_scale": 1.0, "value_scale": 1.0, "calibration": 0.0},
    "clipped": {"calibration": 0.0},
    "calibrated": {"key_scale": 1.0, "value_scale": 1.0},
    "both": {},
}


def cache(**settings: object) -> VisualCache:
    how = VisualKVQuant(**settings).precision().visual_kv
    assert how is not None
    return VisualCache(how)


def test_kl_is_torch_s():
    exact, rough = torch.randn(5, 7), torch.randn(5, 7)
    want = torch.nn.functional.kl_div(
        rough.double().log_softmax(-1),
        exact.double().log_softmax(-1),
        log_target=True,
        reduction="none",
    )
    torch.testing.assert_close(kl_of(exact, rough), want.sum(-1))


@pytest.mark.parametrize("sample", [0, 2])
def test_an_exact_cache_moves_nothing_and_fewer_bits_move_more(sample):
    model, inputs = shared_model("llava-1.5"), batch(tiny("llava-1.5"), ragged()[sample:][:1])
    exact = divergence(model, inputs, GrowingCache())
    assert inputs.labels is not None
    assert len(exact.kl) == int((inputs.labels >= 0).sum())
    assert float(exact.kl.abs().max()) < 1e-9
    assert bool(exact.agrees.all())
    moved = [
        float(divergence(model, inputs, cache(bits=bits, calibration=0.0)).kl.mean())
        for bits in (8, 4, 2)
    ]
    assert 1e-9 < moved[0] < moved[1] < moved[2]


def test_the_four_variants_differ_at_one_bit():
    """Which is nearest is no law: on random models, whose channels are not centred at 0, clipping
    towards 0 loses, as does calibration where logits spread over less than its offset.
    """
    model, inputs = shared_model("llava-1.5"), batch(tiny("llava-1.5"), ragged()[:1])
    found = [
        float(divergence(model, inputs, cache(bits=1, **settings)).kl.mean())
        for settings in VARIANTS.values()
    ]
    assert all(value > 1e-6 for value in found)
    assert len({round(value, 9) for value in found}) == 4


def test_refusals():
    model = shared_model("llava-1.5")
    with pytest.raises(Misuse, match="3 samples given"):
        divergence(model, batch(tiny("llava-1.5"), ragged()), GrowingCache())
    inputs = batch(tiny("llava-1.5"), ragged()[:1])
    none = torch.full_like(inputs.ids, -100)
    with pytest.raises(Misuse, match="predicts an answer"):
        divergence(model, replace(inputs, labels=none), GrowingCache())

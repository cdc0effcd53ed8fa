"""Prefill time: the order in which models take turns, and what is timed."""

import pytest
import torch

from chiasm.assemble import build
from chiasm.cost import alternating, latency, prefill_time, sample_inputs
from chiasm.cost.latency import prefill, samples
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Scale

ANSWERS = VISION_LANGUAGE[Scale.NANO]
INPUTS = sample_inputs(ANSWERS, text=5, image_size=(64, 64))


@pytest.fixture
def models():
    return {"a": build(ANSWERS, seed=1), "b": build(ANSWERS, seed=2)}


def test_models_take_turns_after_a_warm_up(models, monkeypatch):
    turns, seconds = [], iter(range(100))

    def once(model, inputs):
        assert not model.training
        turns.append("a" if model is models["a"] else "b")
        return next(seconds)

    monkeypatch.setattr(latency, "_once", once)
    taken = samples(models, {"a": INPUTS, "b": INPUTS}, repeats=3)
    assert turns == ["a", "b"] * 4
    assert taken == {"a": [2, 4, 6], "b": [3, 5, 7]}
    assert alternating(models, {"a": INPUTS, "b": INPUTS}, 1) == {"a": 10, "b": 11}
    assert all(model.training for model in models.values())


def test_a_prefill_scores_the_last_row_only(models):
    model = models["a"].eval()
    scores = prefill(model, INPUTS)
    with torch.no_grad():
        torch.testing.assert_close(scores, model(INPUTS)[:, -1:], atol=1e-5, rtol=1e-5)


def test_time_is_measured(models):
    assert prefill_time(models["a"], INPUTS, repeats=2) > 0
    with pytest.raises(ValueError, match="median of 0"):
        prefill_time(models["a"], INPUTS, repeats=0)

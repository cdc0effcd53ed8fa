"""Checks of published methods that need a model: what is in the cache, what enters the decoder."""

from typing import Any

import pytest
import torch
from tests.compressing import tiny_hosts as tiny
from tests.compressing.test_dropping import attach, fresh, logits
from torch import Tensor, nn
from torch.nn.functional import normalize

import chiasm
from chiasm.compressing.flow import flow
from chiasm.compressing.hosts import host_of
from chiasm.compression.clustering import clusters
from chiasm.compression.evidence import Evidence
from chiasm.compression.method import methods
from chiasm.compression.methods.aim import Aim
from chiasm.compression.methods.token_sequence_compression import middle_members
from chiasm.compression.methods.vflowopt import Importance, VFlowOpt
from chiasm.compression.methods.vscan import VScan
from chiasm.compression.schedule_search import search_schedule
from chiasm.errors import Misuse
from chiasm.spec.reading import Execution

LLAVA_TOKENS = 36


@torch.no_grad()
def rows_of_layers(model: nn.Module, batch: tiny.Batch) -> list[int]:
    """How many rows the cache holds, layer by layer, behind the prompt."""
    fresh(model)
    cache = model(**batch.told, use_cache=True).past_key_values
    return [layer.keys.shape[-2] for layer in cache.layers]


@pytest.mark.evidence(slug="vscan", grade="lawful")
@pytest.mark.parametrize("pictures", [1, 3])
def test_vscan_s_cache_is_of_its_two_stages(pictures: int) -> None:
    model, batch = tiny.host("llava", 1), tiny.batch("llava", 2, pictures=(pictures,))
    text = int((batch.told["input_ids"] != tiny.IMAGE).sum())
    method = VScan(keep=1 / 3)
    shape = host_of(model).shape
    layer = shape.layer(16, of=32)
    first, second = (one.budget.count for one in method.reducers(shape))
    with chiasm.compress(model, method):
        held = rows_of_layers(model, batch)
    stage_one = pictures * first(torch.zeros(LLAVA_TOKENS))
    stage_two = second(torch.zeros(stage_one))
    assert held[:layer] == [stage_one + text] * layer
    assert held[layer:] == [stage_two + text] * (shape.depth - layer)
    assert stage_two < stage_one < pictures * LLAVA_TOKENS


@pytest.mark.evidence(slug="aim", grade="lawful")
@pytest.mark.parametrize("kind", ["llava", "qwen2_vl", "smolvlm"])
def test_aim_without_visual_rows_in_its_last_layers(kind: str) -> None:
    """Masked out or physically removed, the logits are the same."""
    model, batch = tiny.host(kind, 1), tiny.batch(kind, 2, pictures=(2,))
    text = int((batch.told["input_ids"] != tiny.IMAGE).sum())
    method = Aim(keep=0.15)
    _, rates = method.schedule(host_of(model).shape)
    assert rates[-1] == 0
    found = []
    for execution in (Execution.PLANNED, Execution.MASKED):
        with chiasm.compress(model, method, execution=execution):
            found.append(logits(model, batch))
            if execution is Execution.PLANNED:
                held = rows_of_layers(model, batch)
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-5)
    assert [rows == text for rows in held] == [rate == 0 for rate in rates]


@pytest.mark.evidence(slug="token-sequence-compression", grade="lawful")
def test_clusters_are_averaged_before_the_projector() -> None:
    model, batch = tiny.host("llava", 1), tiny.batch("llava", 2, pictures=(1,))
    host: Any = host_of(model)
    features: list[Tensor] = []
    handle = host.projector.register_forward_pre_hook(lambda _, args: features.append(args[0]))
    logits(model, batch)
    handle.remove()
    encoded = features[0][0]
    entered: dict[str, Tensor] = {}
    with chiasm.compress(model, "token-sequence-compression", keep=0.3):
        spy = host.decoder.layers[0].register_forward_pre_hook(
            lambda _, args, told: entered.update(rows=told.get("hidden_states", args and args[0])),
            with_kwargs=True,
        )
        logits(model, batch)
        spy.remove()
    found = clusters(normalize(encoded, dim=-1), 11, rounds=10, seed=0)
    order = middle_members(found).sort().indices
    means = torch.stack([encoded[found == number].mean(0) for number in order.tolist()])
    with torch.no_grad():
        expected = host.projector(means)
        behind = torch.stack(
            [host.projector(encoded[found == number]).mean(0) for number in order.tolist()]
        )
    start = batch.told["input_ids"][0].tolist().index(tiny.IMAGE)
    rows = entered["rows"][0, start : start + 11]
    torch.testing.assert_close(rows, expected, rtol=0, atol=1e-5)
    assert (expected - behind).abs().max() > 1e-3


@pytest.mark.evidence(slug="vflowopt", grade="lawful")
@pytest.mark.parametrize("kind", ["llava", "llava_onevision", "qwen2_5_vl"])
def test_nothing_pruned_is_a_cosine_of_one(kind: str) -> None:
    model = tiny.host(kind, 1)
    prompts = [tiny.batch(kind, seed, side).told for seed, side in ((2, "left"), (3, "right"))]
    survives = flow(model, prompts)
    assert survives(VFlowOpt(keep=1.0)) == pytest.approx(4, abs=1e-5)
    # Ratios of 1 by hand, all but what the budget's last digits take.
    assert survives(VFlowOpt(keep=0.9999, r_0=1.0, r_1=1.0)) == pytest.approx(4, abs=1e-4)
    pruned = survives(VFlowOpt(keep=0.2))
    assert -4 < pruned < 3.9999
    assert pruned == pytest.approx(survives(VFlowOpt(keep=0.2)))


@pytest.mark.evidence(slug="vflowopt", grade="lawful")
def test_a_schedule_is_searched_on_a_model() -> None:
    model = tiny.host("llava", 1)
    survives = flow(model, [tiny.batch("llava", 2).told])
    shape = host_of(model).shape
    found = search_schedule(survives, keep=0.3, shape=shape, trials=5, startup=4, seed=0)
    assert found.value == max(found.values) == pytest.approx(survives(found.method))
    assert found.value <= 2
    assert len(set(found.values)) > 1


@pytest.mark.evidence(slug="vflowopt", grade="lawful")
def test_entropy_is_read_from_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a picture's patches are flat, entropy alone ranks the busy ones first."""
    model, batch = tiny.host("llava", 1), tiny.batch("llava", 2, pictures=(1,))
    pixels = torch.zeros(1, 3, 24, 24)
    pixels[:, :, :8] = 2 * torch.randn(1, 3, 8, 24, generator=torch.Generator().manual_seed(0))
    batch.told["pixel_values"] = pixels
    seen: list[Tensor] = []
    score = Importance.score

    def recorded(self: Importance, evidence: Evidence) -> Tensor:
        seen.append(score(self, evidence))
        return seen[-1]

    monkeypatch.setattr(Importance, "score", recorded)
    found = {}
    for sign in (1, -1):
        seen.clear()
        with chiasm.compress(model, VFlowOpt(keep=0.3, entropy=1000.0 * sign)):
            logits(model, batch)
        found[sign] = seen[0].view(6, 6)
    assert found[1][:2].min() > found[1][2:].max()
    assert found[-1][:2].max() < found[-1][2:].min()


def test_entropy_on_a_host_of_patches_is_refused() -> None:
    model, batch = tiny.host("qwen2_vl", 1), tiny.batch("qwen2_vl", 2)
    with (
        pytest.raises(Misuse, match="patches"),
        chiasm.compress(model, VFlowOpt(keep=0.3, entropy=0.5)),
    ):
        logits(model, batch)


@pytest.mark.evidence(slug="token-compression-survey", grade="lawful")
@pytest.mark.parametrize("name", sorted(methods()))
def test_a_method_that_needs_no_training_leaves_the_weights(name: str) -> None:
    model, batch = tiny.host("llava", 1), tiny.batch("llava", 2)
    before = {path: value.clone() for path, value in model.state_dict().items()}
    with attach(model, name, 0.5):
        logits(model, batch)
        after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[path], value) for path, value in before.items())

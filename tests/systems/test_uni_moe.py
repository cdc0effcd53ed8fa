"""The card of 022 uni-moe."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import builds_and_learns, on_meta, system_or_skip
from tests.systems.routing import decided, mixed_layers, upcycled, use
from tests.tiny import batch, close, fresh, ragged, real, tiny

from chiasm.assemble import build
from chiasm.cost import count
from chiasm.experts import SharedWeights, everyone
from chiasm.stream import MEDIA, TEXT
from chiasm.training.freezing import freeze

SLUG = "uni-moe"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_identical_experts_are_the_dense_model():
    dense, model = upcycled(tiny(SLUG))
    inputs = batch(tiny(SLUG), ragged())
    close(model(inputs)[real(inputs)], dense(inputs)[real(inputs)], 1e-5)


@lawful
@pytest.mark.parametrize("experts", [4, 8])
def test_the_feed_forward_costs_twice_the_dense_one(experts):
    answers = SYSTEM.at("paper")
    mixture = answers.experts
    router = replace(mixture.router, eligibility=everyone(experts))
    wider = replace(answers, experts=replace(mixture, router=router))

    def macs(of, ending):
        lines = count(of, name="uni-moe").prefill
        return sum(x.dense for x in lines if x.part == "decoder" and x.name.endswith(ending))

    dense = macs(replace(answers, experts=SharedWeights()), " feed-forward")
    assert macs(wider, " experts") == 2 * dense > 0
    assert macs(wider, " feed-forward") == 0


@lawful
def test_the_gate_receives_gradient_and_the_last_stage_moves_it_and_the_deltas_alone():
    stage = SYSTEM.at("paper").teaching.stages[-1]
    model = build(tiny(SLUG)).train()
    freeze(model, stage.trained)
    model.loss(batch(tiny(SLUG), ragged())).backward()
    gates = [m.experts["router"].gate.weight for m in mixed_layers(model)]
    assert len(gates) == 3 and all(bool(gate.grad.any()) for gate in gates)
    for mixed in mixed_layers(model):
        assert mixed.up_proj.weight.grad is None, "an expert's own matrix is frozen"
        assert bool(mixed.up_proj.experts["b"].weight.grad.any())


@lawful
def test_every_matrix_of_the_language_model_has_a_low_rank_delta():
    host, experts = SYSTEM.at("paper").host, 4
    d, ff, r = host.width, host.ff_width, 8
    added = sum(p.numel() for p in on_meta(SYSTEM.at("paper")).part("experts"))
    attention, feed_forward = 4 * r * 2 * d, experts * 3 * r * (d + ff)
    assert added == host.depth * (attention + feed_forward + experts * d)


@lawful
def test_taught_experts_are_used_otherwise_than_random_ones():
    """Top-1 histograms by modality, before and after a few steps."""
    answers = tiny(SLUG)
    kinds = replace(answers.experts.router, eligibility=everyone(4, groups=2))
    answers = replace(answers, experts=replace(answers.experts, kinds=(TEXT, MEDIA), router=kinds))
    model, inputs = fresh(answers), batch(answers, ragged())
    before = [use(one, group) for one in decided(model, inputs) for group in (0, 1)]
    adam = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(15):
        adam.zero_grad()
        model.loss(inputs).backward()
        adam.step()
    after = [use(one, group) for one in decided(model, inputs) for group in (0, 1)]
    moved = [float((x - y).abs().sum()) for x, y in zip(before, after, strict=True)]
    assert max(moved) > 0.1

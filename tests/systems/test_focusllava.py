"""The card of 221 focusllava, as a system; its sampler alone is in tests/compression."""

import pytest
import torch
from tests.systems.card import builds_and_learns, system_or_skip
from tests.tiny import batch, close, fresh, ragged, tiny

from chiasm.spec import Scale, geometry

SLUG = "focusllava"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_an_images_rows_are_the_sum_over_areas_of_1_4_or_16():
    plan = geometry(SYSTEM.at(Scale.PAPER), (480, 640))
    assert (plan.tokens, plan.kept, plan.placeholders) == (576, 225, 225)
    assert 13 * 1 + 13 * 4 + 10 * 16 == 225


@lawful
def test_the_balance_loss_is_among_the_losses_and_teaches_the_gate():
    model = fresh(tiny(SLUG))
    taught = model.losses(batch(tiny(SLUG), ragged()))
    assert set(taught.auxiliary) == {"scales"}
    weight = model.answers.compression.balance
    sides = len(model.answers.compression.sides)
    assert weight * 0.9 <= float(taught.auxiliary["scales"].detach()) <= weight * sides
    (gradient,) = torch.autograd.grad(taught.auxiliary["scales"], [model.compressor.choice.bias])
    assert bool((gradient != 0).any())
    close(taught.total, taught.main + taught.auxiliary["scales"], 1e-7)


@lawful
def test_the_gate_learns_from_the_answers_too():
    model = fresh(tiny(SLUG))
    taught = model.losses(batch(tiny(SLUG), ragged()))
    for parameter in model.compressor.parameters():
        (gradient,) = torch.autograd.grad(taught.main, [parameter], retain_graph=True)
        assert bool((gradient != 0).any())

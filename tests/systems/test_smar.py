"""The card of 147 smar. The penalty's own equations are in `tests/experts/test_losses.py`."""

from dataclasses import replace

import pytest
import torch
from tests.systems.card import builds_and_learns, system_or_skip
from tests.systems.routing import decided
from tests.tiny import batch, fresh, gradients, ragged, said, tiny

from chiasm.experts.losses import mean_over, symmetric_divergence
from chiasm.stream import Role

SLUG = "smar"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")


def with_band(**changes):
    """Tiny answers whose band has other values."""
    answers = tiny(SLUG)
    router = answers.experts.router
    balance, band = router.penalties
    router = replace(router, penalties=(balance, replace(band, **changes)))
    return replace(answers, experts=replace(answers.experts, router=router))


def distances(model, inputs):
    """D of every layer's router."""
    found = []
    for one, module in zip(
        decided(model, inputs),
        [layer.mlp.experts["router"] for layer in model.decoder.stack.layers],
        strict=True,
    ):
        p = module.gate(one.rows).softmax(-1)
        text, media = (mean_over(p, one.counted & (one.group == kind)) for kind in (0, 1))
        found.append(float(symmetric_divergence(text, media).detach()))
    return found


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_the_term_is_the_sum_of_what_leaves_the_band():
    model, inputs = fresh(with_band(least=0.3, most=0.5)), batch(tiny(SLUG), ragged())
    expected = sum(max(0.3 - d, 0.0) + max(d - 0.5, 0.0) for d in distances(model, inputs))
    term = model.losses(inputs).auxiliary["modality_band"]
    assert term.item() == pytest.approx(1e-2 * expected, rel=1e-4)
    assert expected > 0


@lawful
def test_text_alone_yields_no_term():
    model = fresh(with_band(least=5.0, most=9.0))
    alone = batch(tiny(SLUG), [(said(4, 1), said(2, 2, Role.ASSISTANT))])
    assert model.losses(alone).auxiliary["modality_band"].item() == 0.0
    assert model.losses(batch(tiny(SLUG), ragged())).auxiliary["modality_band"].item() > 0.0


@lawful
def test_a_coefficient_of_zero_is_the_baseline_bit_for_bit():
    answers = tiny(SLUG)
    router = answers.experts.router
    plain = replace(
        answers,
        experts=replace(answers.experts, router=replace(router, penalties=router.penalties[:1])),
    )
    inputs, found = batch(answers, ragged()), []
    for one in (plain, with_band(coefficient=0.0)):
        model = fresh(one)
        model.loss(inputs).backward()
        found.append(gradients(model))
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


@lawful
@pytest.mark.parametrize(("least", "most"), [(0.6, 0.9), (0.0, 0.02)])
def test_after_some_steps_the_divergence_lies_in_the_band(least, most):
    """From below and from above, beside the language model's own loss."""
    answers = with_band(coefficient=1.0, least=least, most=most)
    model, inputs = fresh(answers), batch(answers, ragged())
    assert not all(least <= d <= most for d in distances(model, inputs))
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(60):
        adam.zero_grad()
        model.loss(inputs).backward()
        adam.step()
    slack = 0.05
    assert all(least - slack <= d <= most + slack for d in distances(model, inputs))


@lawful
def test_architecture_and_inference_are_the_mixtures_own():
    answers, inputs = tiny(SLUG), batch(tiny(SLUG), ragged())
    router = replace(answers.experts.router, penalties=())
    plain = fresh(replace(answers, experts=replace(answers.experts, router=router)))
    assert torch.equal(plain(inputs), fresh(answers)(inputs))

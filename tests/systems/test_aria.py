"""The card of 093 aria. Its grouped products are in `tests/experts`, its block in parity tests."""

import math

import pytest
import torch
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.systems.routing import decided, mixed_layers, use
from tests.tiny import batch, fresh, ragged, tiny

from chiasm.cost import count as bill
from chiasm.experts import Balance
from chiasm.experts.execute import execute_slowly
from chiasm.spec import geometry

SLUG = "aria"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
PAPER = SYSTEM.at("paper")


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_the_decoder_holds_the_published_parameters():
    host, model = PAPER.host, on_meta(PAPER)
    d, vocabulary = host.width, host.vocabulary
    expected = 28 * (4 * d * d + 66 * 3 * d * 1664 + 64 * d) + 2 * vocabulary * d
    norms = (2 * 28 + 1) * d
    assert count(model, "decoder", "experts", "head") == expected + norms
    assert expected / 1e9 == pytest.approx(24.87, rel=1e-3)


@lawful
def test_active_parameters():
    """3.60B without embeddings; the paper rounds to 3.5B, and to 3.9B with its vision encoder."""
    parameters, host = bill(SYSTEM, "paper").parameters, PAPER.host
    embeddings = 2 * host.vocabulary * host.width
    assert (parameters.active - embeddings) / 1e9 == pytest.approx(3.60, rel=2e-3)
    vision = parameters.by_part["encoder"] + parameters.by_part["connector"]
    assert vision / 1e9 == pytest.approx(0.438, rel=0.02)
    assert parameters.active_visual == parameters.active + vision


@lawful
@pytest.mark.parametrize(("side", "queries"), [(490, 128), (980, 256)])
def test_an_image_takes_queries_by_its_patches(side, queries):
    assert PAPER.connector.count((side // 14, side // 14)) == queries
    assert geometry(PAPER, (700, 700)).placeholders == 256


@lawful
def test_a_models_grouped_products_equal_one_expert_after_the_other(monkeypatch):
    model, inputs = fresh(tiny(SLUG)), batch(tiny(SLUG), ragged())
    fast = model(inputs)
    monkeypatch.setattr("chiasm.experts.mixed.execute", execute_slowly)
    torch.testing.assert_close(fast, model(inputs), rtol=1e-5, atol=1e-5)


@lawful
def test_a_uniform_routers_balance_term_is_its_coefficient():
    model = fresh(tiny(SLUG))
    with torch.no_grad():
        for mixed in mixed_layers(model):
            mixed.experts["router"].gate.weight.mul_(1e-6)
    terms = model.losses(batch(tiny(SLUG), ragged())).auxiliary
    layers, experts = 3, 8
    assert Balance(coefficient=1e-3, per_choice=True) in tiny(SLUG).experts.router.penalties
    assert terms["balance"].item() == pytest.approx(layers * 1e-3, rel=1e-3)
    assert terms["z"].item() == pytest.approx(layers * 1e-5 * math.log(experts) ** 2, rel=1e-3)


@lawful
def test_auxiliary_terms_never_enter_the_reported_loss():
    model, inputs = fresh(tiny(SLUG)), batch(tiny(SLUG), ragged())
    taught = model.losses(inputs)
    assert set(taught.auxiliary) == {"balance", "z"}
    assert taught.total > taught.main
    labels = inputs.labels[inputs.labels >= 0]
    plain = torch.nn.functional.cross_entropy(model(inputs)[inputs.labels >= 0], labels)
    torch.testing.assert_close(taught.main, plain)


@lawful
def test_the_entropy_of_expert_use_is_told_by_modality():
    """Routing does not know modality: the same rule serves both, and each has its own use."""
    model, inputs = fresh(tiny(SLUG)), batch(tiny(SLUG), ragged())
    media = (inputs.table.modality > 0).flatten().long()
    for one in decided(model, inputs):
        told = [use(one._replace(group=media), kind) for kind in (0, 1)]
        entropies = [-(p[p > 0] * p[p > 0].log()).sum().item() for p in told]
        assert all(0 < entropy <= math.log(8) + 1e-6 for entropy in entropies)
        assert not torch.equal(told[0], told[1])

"""The card of 054 nmm-scaling; the fit of its laws is tested in `tests/evaluation`."""

import pytest
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip
from tests.tiny import batch, ragged, tiny, tiny_answers

from chiasm.assemble import build
from chiasm.cost import count as bill
from chiasm.lineages.native import EARLY, LATE, SPARSE
from chiasm.spec import Scale, geometry

SLUG = "nmm-scaling"
SYSTEM = system_or_skip(SLUG)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
FAMILIES = {"early": EARLY, "late": LATE, "sparse": SPARSE}


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
@pytest.mark.parametrize("name", FAMILIES)
def test_a_picture_is_256_tokens_in_every_family(name):
    assert geometry(FAMILIES[name][Scale.PAPER], (480, 640)).placeholders == 256


@lawful
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_is_taught_whole(name):
    answers = tiny_answers(FAMILIES[name][Scale.NANO])
    model = build(answers).train()
    model.loss(batch(answers, ragged())).backward()
    trained = set(FAMILIES[name][Scale.PAPER].teaching.stages[0].trained)
    assert {"encoder", "connector", "decoder", "experts", "head"} <= trained
    assert all(p.grad is not None for p in model.part("decoder"))


@lawful
def test_a_sparse_token_costs_a_dense_one_and_its_router():
    """One of eight experts a row; what routing adds is a map of the width to eight numbers."""
    dense, sparse = (bill(of[Scale.PAPER], text=64) for of in (EARLY, SPARSE))
    host = EARLY[Scale.PAPER].host
    routers = 2 * dense.rows * host.depth * host.width * 8
    assert sparse.prefill_flops - dense.prefill_flops == pytest.approx(routers, rel=0.01)
    feed_forward = 3 * host.width * host.ff_width * host.depth
    more = sparse.parameters.total - dense.parameters.total
    assert more == 7 * feed_forward + host.depth * host.width * 8
    assert sparse.parameters.active == pytest.approx(dense.parameters.active, rel=0.01)


@lawful
def test_late_fusion_is_the_same_host_behind_an_encoder():
    early, late = (on_meta(of[Scale.PAPER]) for of in (EARLY, LATE))
    assert count(early, "decoder", "head") == count(late, "decoder", "head")
    assert count(early, "encoder") == 0 and 0.29e9 < count(late, "encoder") < 0.31e9
    assert count(early, "connector") == (3 * 14**2 + 1) * 2048


@lawful
def test_the_router_knows_no_modality():
    """Rows of a picture and of words may take any expert."""
    router = tiny(SLUG).experts.router
    assert router.eligibility == ((True,) * 8,)
    assert not router.apart

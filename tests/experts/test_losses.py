"""Router losses against hand counts, and where they must vanish."""

import math

import pytest
import torch

from chiasm.experts import losses
from chiasm.experts.penalties import Balance, ModalityBand, Variation, ZLoss
from chiasm.experts.router import Router
from chiasm.experts.routes import Decision, blocks, everyone
from chiasm.experts.selection import Scores, TopLogits

ALL = torch.ones(60, dtype=torch.bool)


def decision(logits, eligibility=None, group=None, k=2):
    rows, experts = logits.shape
    eligibility = eligibility or everyone(experts)
    group = torch.zeros(rows, dtype=torch.long) if group is None else group
    eligible = torch.tensor(eligibility)[group]
    masked = logits.masked_fill(~eligible, torch.finfo(logits.dtype).min)
    counted = torch.ones(rows, dtype=torch.bool)
    router = Router(eligibility=eligibility, selection=TopLogits(k), penalties=())
    routes = router.selection.select(
        Scores(masked, eligible, group, counted, eligibility), training=True
    )
    return Decision(masked, eligible, group, counted, eligibility, routes)


def test_balance_of_a_uniform_router_is_the_choices_per_row():
    """And with `per_choice` it is the coefficient itself, as Aria states it."""
    uniform = decision(1e-4 * torch.randn(60, 5, generator=torch.Generator().manual_seed(1)))
    assert Balance(coefficient=1.0).of(uniform).item() == pytest.approx(2.0, rel=1e-3)
    one = Balance(coefficient=1e-3, per_choice=True).of(uniform)
    assert one.item() == pytest.approx(1e-3, rel=1e-3)


def test_balance_of_a_collapsed_router_is_the_number_of_experts():
    collapsed = torch.zeros(60, 5)
    collapsed[:, 3] = 50.0
    assert Balance(coefficient=1.0, first=True).of(decision(collapsed)).item() == pytest.approx(5.0)


def test_balance_by_hand():
    p = torch.tensor([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3]])
    chosen = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]])
    expected = 3 * (0.5 * 0.4 + 1.0 * 0.4 + 0.5 * 0.2)
    got = losses.switch_balance(p, chosen, torch.ones(2, dtype=torch.bool), 3)
    assert got.item() == pytest.approx(expected)
    first = losses.switch_balance(p, chosen, torch.tensor([True, False]), 3)
    assert first.item() == pytest.approx(3 * (0.7 + 0.2))


def test_balance_is_taken_in_each_pool():
    """Each pool's E is its own; a pool of one expert says nothing."""
    logits = 1e-4 * torch.randn(60, 6, generator=torch.Generator().manual_seed(1))
    group = torch.arange(60) % 3
    split = decision(logits, blocks(3, 2, 1), group, k=1)
    assert Balance(coefficient=1.0).of(split).item() == pytest.approx(2.0, rel=1e-3)
    empty = decision(logits, blocks(3, 2, 1), torch.full((60,), 2), k=1)
    assert Balance(coefficient=1.0).of(empty).item() == 0.0


def test_groups_of_equal_choice_share_one_balance():
    """Agnostic routing with two groups balances over all rows, not within either."""
    logits = torch.zeros(60, 2)
    group = torch.arange(60) % 2
    logits[torch.arange(60), group] = 9.0
    split = decision(logits, everyone(2, groups=2), group, k=1)
    assert Balance(coefficient=1.0).of(split).item() == pytest.approx(1.0, rel=1e-3)


def test_z_loss_by_hand():
    logits = torch.zeros(7, 4)
    assert ZLoss(coefficient=2.0).of(decision(logits)).item() == pytest.approx(2 * math.log(4) ** 2)


def test_variation_vanishes_when_all_get_the_same():
    assert losses.squared_variation(torch.full((5,), 3.0)).item() == 0.0
    assert losses.squared_variation(torch.tensor([4.0, 0.0])).item() == pytest.approx(1.0)
    collapsed = torch.zeros(60, 2)
    collapsed[:, 1] = 50.0
    assert Variation(coefficient=1.0).of(decision(collapsed, k=1)).item() == pytest.approx(2.0)


def test_divergence_is_zero_for_equal_means_and_symmetric():
    p, q = torch.tensor([0.2, 0.5, 0.3]), torch.tensor([0.6, 0.1, 0.3])
    assert losses.symmetric_divergence(p, p).item() == 0.0
    one, two = losses.symmetric_divergence(p, q), losses.symmetric_divergence(q, p)
    assert one.item() == pytest.approx(two.item())
    kl = sum(a * math.log(a / b) for a, b in zip(p.tolist(), q.tolist(), strict=True))
    lk = sum(b * math.log(b / a) for a, b in zip(p.tolist(), q.tolist(), strict=True))
    assert one.item() == pytest.approx((kl + lk) / 2, rel=1e-5)


@pytest.mark.parametrize(("spread", "inside"), [(0.05, False), (1.0, True), (9.0, False)])
def test_the_band_pulls_only_outside_of_it(spread, inside):
    logits = torch.zeros(60, 3)
    group = torch.arange(60) % 2
    logits[:, 0] = spread * group
    logits.requires_grad_()
    band = ModalityBand(coefficient=1.0, least=0.1, most=1.0)
    term = band.of(decision(logits, everyone(3, groups=2), group))
    term.backward()
    assert (term.item() == 0.0) == inside
    assert bool((logits.grad == 0).all()) == inside


def test_the_band_says_nothing_of_one_group_alone():
    band = ModalityBand(coefficient=1.0, least=0.1, most=1.0)
    alone = decision(torch.randn(60, 3), everyone(3, groups=2), torch.zeros(60, dtype=torch.long))
    assert band.of(alone).item() == 0.0


def test_a_detached_first_group_stays_put():
    group = torch.arange(60) % 2
    for detach in (False, True):
        logits = (5.0 * torch.randn(1, 3) * group.unsqueeze(-1)).requires_grad_()
        band = ModalityBand(coefficient=1.0, least=50.0, most=90.0, detach_first=detach)
        band.of(decision(logits, everyone(3, groups=2), group)).backward()
        assert bool((logits.grad[group == 0] == 0).all()) == detach
        assert bool((logits.grad[group == 1] != 0).any())


def test_prediction_counts_eligible_pairs_only():
    predicted = torch.tensor([[0.0, 9.0], [0.0, 0.0]])
    chosen = torch.tensor([[True, False], [False, True]])
    eligible = torch.tensor([[True, False], [True, True]])
    got = losses.choice_prediction(predicted, chosen, eligible)
    assert got.item() == pytest.approx(math.log(2))
    nobody = losses.choice_prediction(predicted, chosen, torch.zeros_like(eligible))
    assert nobody.item() == 0.0


def test_means_over_nothing_are_zeros():
    assert losses.mean_over(torch.ones(3, 2), torch.zeros(3, dtype=torch.bool)).tolist() == [0, 0]

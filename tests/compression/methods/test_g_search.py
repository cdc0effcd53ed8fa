"""G-Search and P-Sigmoid: searches against brute force, curves against budgets, nested sets."""

from itertools import pairwise, product

import pytest
import torch
from tests.compression.made_up import host, run

from chiasm.compression.alive import counted
from chiasm.compression.method import method
from chiasm.compression.methods.g_search import GSearch, PSigmoid
from chiasm.compression.rates import (
    centred,
    curve_of,
    greedy_rates,
    searched_curve,
    sigmoid_rates,
)
from chiasm.cost.reduced import layer_flops, prefill_flops
from chiasm.errors import Misuse
from chiasm.lineages.hosts import VICUNA_7B

pytestmark = pytest.mark.evidence(slug="g-search", grade="lawful")
SHAPE = host(depth=32)


def oracle(needs):
    """Scores that never fall when a layer keeps more; each layer has a need of its own."""

    def score(rates):
        pairs = enumerate(zip(needs, rates, strict=True), 1)
        return -sum(weight * max(0.0, need - rate) for weight, (need, rate) in pairs)

    return score


@pytest.mark.parametrize("seed", range(8))
def test_greedy_is_brute_force_on_an_oracle(seed):
    """4 layers, 5 levels: the cheapest falling rates that lose nothing."""
    draw = torch.Generator().manual_seed(seed)
    levels = [0.0, 0.25, 0.5, 0.75, 1.0]
    needs = sorted((levels[i] for i in torch.randint(0, 5, (3,), generator=draw)), reverse=True)
    score = oracle((1.0, *needs))
    found = greedy_rates(score, 4, tolerance=0.0, step=0.25)
    falling = [
        (1.0, *rates)
        for rates in product(levels, repeat=3)
        if all(a >= b for a, b in pairwise((1.0, *rates)))
    ]
    good = [rates for rates in falling if score(rates) >= score((1.0,) * 4)]
    assert found == min(good, key=sum)


def test_rates_fall_whatever_the_needs():
    calls = []

    def score(rates):
        calls.append(rates)
        return oracle((1.0, 0.3, 0.6, 0.2, 0.1))(rates)

    found = greedy_rates(score, 5, tolerance=0.0, step=0.1)
    assert found == (1.0, 0.6, 0.6, 0.2, 0.1)
    for rates in calls:
        assert all(a >= b for a, b in pairwise(rates))
    assert len(calls) <= 1 + 4 * 4


def test_a_tolerance_is_of_the_full_score():
    def score(rates):
        return 80 + 10 * min(rates)

    assert greedy_rates(score, 3, tolerance=0.05, step=0.05)[-1] == pytest.approx(0.55)


@pytest.mark.parametrize("steepness", [3.0, 20.0, 150.0])
@pytest.mark.parametrize("floor", [0.0, 0.02])
@pytest.mark.parametrize("keep", [0.1, 0.31, 0.8])
def test_curves_fall_and_meet_their_budget(steepness, floor, keep):
    rates = centred(keep, 32, steepness=steepness, floor=floor)
    assert rates[0] == 1 and len(rates) == 32
    assert all(a >= b >= floor for a, b in pairwise(rates))
    assert sum(rates) / 32 == pytest.approx(keep, abs=1e-6)


def test_a_curve_is_its_formula():
    rates = sigmoid_rates(5, steepness=7.0, floor=0.2, centre=0.5)
    expected = [0.8 * torch.sigmoid(torch.tensor(-7.0 * (l / 5 - 0.5))) + 0.2 for l in range(1, 5)]
    assert rates == pytest.approx((1.0, *map(float, expected)))


def test_a_budget_of_flops_is_met_within_a_token():
    """sum_l 2 n_l P + 4 n_l^2 d against a third of the full prefill, 576 visual and 64 text."""

    def cost(rate):
        return layer_flops(VICUNA_7B, 0, round(64 + 576 * rate)) / layer_flops(VICUNA_7B, 0, 640)

    rates = centred(1 / 3, 32, steepness=15.0, floor=0.02, cost=cost)
    counts = [round(576 * rate) for rate in rates]
    whole = prefill_flops(VICUNA_7B, (576,) * 32, text=64)
    token = layer_flops(VICUNA_7B, 0, 641) - layer_flops(VICUNA_7B, 0, 640)
    spent = prefill_flops(VICUNA_7B, counts, text=64)
    assert abs(spent - whole / 3) < 32 * token
    one = prefill_flops(VICUNA_7B, counts, text=64) / whole
    assert one == pytest.approx(1 / 3, abs=1 / 576)


def test_what_no_curve_can_spend_is_refused():
    with pytest.raises(Misuse, match=r"0\.02 is out of its reach"):
        centred(0.02, 32, steepness=9.0, floor=0.0)
    with pytest.raises(Misuse, match=r"0\.1 is out of its reach"):
        centred(0.1, 32, steepness=9.0, floor=0.3)


@pytest.mark.parametrize("name", ["g-search", "p-sigmoid"])
@pytest.mark.parametrize("keep", [0.1, 0.25, 0.7])
def test_kept_sets_are_nested_and_meet_the_budget(name, keep):
    reducers = method(name, keep=keep).reducers(SHAPE)
    sites = [one.site.layer for one in reducers]
    assert sites == sorted(set(sites)) and sites[0] >= 1
    found = counted(reducers, ((576,),), 32)
    assert all(a >= b for a, b in pairwise(found.alive))
    assert abs(found.keep * 576 - keep * 576) < 1, "within one token a layer"
    kept = set(range(77))
    numbers = torch.arange(77)
    for _, part, left in run(reducers, ((1, 7, 11),)):
        assert part.tokens == len(numbers)
        numbers = numbers[left.index]
        assert set(numbers.tolist()) <= kept
        kept = set(numbers.tolist())


def test_rates_that_were_found_are_used():
    rates = (1.0,) * 3 + (0.5,) * 4 + (0.25,) * 6
    (first, second) = GSearch(keep=sum(rates) / 13, rates=rates).reducers(host(depth=13))
    assert (first.site.layer, second.site.layer) == (3, 7)
    assert first.scorer.back == 1
    found = counted((first, second), ((100,),), 13)
    assert found.alive == tuple(round(100 * rate) for rate in rates)


@pytest.mark.parametrize(
    ("rates", "keep", "said"),
    [
        ((1.0, 0.5), 0.75, "2 rates are given, the decoder has 3 layers"),
        ((1.0, 0.5, 0.6), 0.7, "rate 0.6, layer 2, is wrong"),
        ((0.9, 0.5, 0.1), 0.5, "rate 0.9, layer 0, is wrong"),
        ((1.0, 0.5, 0.0), 0.6, "keep a mean of 0.5000"),
    ],
)
def test_rates_of_another_decoder_are_refused(rates, keep, said):
    with pytest.raises(Misuse, match=said):
        GSearch(keep=keep, rates=rates).reducers(host(depth=3))


def test_a_found_curve_is_fitted_where_a_search_begins():
    for steepness, floor in ((9.0, 0.02), (60.0, 0.1)):
        rates = centred(0.4, 32, steepness=steepness, floor=floor)
        slope, least = curve_of(rates)
        again = centred(0.4, 32, steepness=slope, floor=least)
        assert max(abs(a - b) for a, b in zip(rates, again, strict=True)) < 0.08


def test_a_search_finds_the_better_curve_and_repeats_itself():
    pytest.importorskip("optuna")
    best = centred(0.3, 16, steepness=40.0, floor=0.05)

    def score(rates):
        return -sum((a - b) ** 2 for a, b in zip(rates, best, strict=True))

    once, again = (searched_curve(score, 0.3, 16, trials=12, seed=3) for _ in range(2))
    assert once == again and sum(once) / 16 == pytest.approx(0.3, abs=1e-6)
    first = centred(0.3, 16, steepness=2.0, floor=0.0)
    assert score(once) > score(first)
    seeded = searched_curve(score, 0.3, 16, trials=1, start=(40.0, 0.05))
    assert seeded == pytest.approx(best)


def test_p_sigmoid_states_its_rates():
    rates = PSigmoid(keep=0.25, steepness=30.0, floor=0.0).rates(SHAPE)
    assert rates == centred(0.25, 32, steepness=30.0, floor=0.0)

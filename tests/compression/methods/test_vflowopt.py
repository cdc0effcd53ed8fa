"""VFlowOpt: its map, its recycling, its schedule and the search for one."""

from dataclasses import replace

import pytest
import torch
from tests.compression.made_up import evidence, host, run

from chiasm.catalogue.headlines_compression import VFLOWOPT
from chiasm.compression.alive import counted
from chiasm.compression.information_flow import CalibratedAttention, PatchEntropy, grey_entropy
from chiasm.compression.methods.vflowopt import (
    RELEASED,
    VFlowOpt,
    last_ratio,
    mean_keep,
    stages_of,
)
from chiasm.compression.recycling import Recycle
from chiasm.compression.schedule_search import agreement, bounds, search_schedule
from chiasm.errors import Misuse

pytestmark = pytest.mark.evidence(slug="vflowopt", grade="lawful")

ONEVISION = host(depth=28, blocks=27, class_token=False)
STAGES = (9, 18)


@pytest.mark.parametrize(
    ("released", "mean"), list(zip(RELEASED, (0.100, 0.251, 0.501), strict=True))
)
def test_released_ratios_spend_their_budget(released, mean):
    assert stages_of(ONEVISION) == STAGES
    r_0, r_1, r_2 = released.ratios
    assert (9 * r_0 + 9 * r_0 * r_1 + 10 * r_0 * r_1 * r_2) / 28 == pytest.approx(mean, abs=5e-4)
    assert mean_keep(released.ratios, STAGES, 28) == pytest.approx(mean, abs=5e-4)
    # and are what the method gives at that budget
    found = VFlowOpt(keep=mean_keep(released.ratios, STAGES, 28)).ratios(STAGES, 28)
    assert found == pytest.approx(released.ratios)


def test_its_headline_from_the_schedule():
    """89% less KV at 7,290 tokens: the counts of the catalogue's claim, to a token a tile."""
    found = counted(VFlowOpt(keep=0.1).reducers(ONEVISION), ((729,) * 10,), 28)
    assert max(abs(a - b) for a, b in zip(found.alive, VFLOWOPT, strict=True)) <= 2
    assert found.keep == pytest.approx(0.1, abs=2e-4)


@pytest.mark.parametrize("keep", [0.02, 0.1, 0.3, 0.6, 0.75, 0.97])
@pytest.mark.parametrize("depth", [2, 3, 4, 28, 33])
def test_budgets_are_met_at_any_depth(keep, depth):
    stages = stages_of(host(depth=depth))
    ratios = VFlowOpt(keep=keep).ratios(stages, depth)
    assert all(0 < ratio <= 1 for ratio in ratios)
    assert mean_keep(ratios, stages, depth) == pytest.approx(keep)


def test_the_last_ratio_is_solved():
    r_2 = last_ratio(0.1, 0.1166, 1.0, STAGES, 28)
    assert r_2 == pytest.approx(0.6011, abs=2e-3)
    found = VFlowOpt(keep=0.1, r_0=0.1166, r_1=1.0).ratios(STAGES, 28)
    assert found == (0.1166, 1.0, r_2)
    with pytest.raises(Misuse, match=r"r_0=0.1 and r_1=0.5 leave r_2=2.9 for keep=0.1"):
        VFlowOpt(keep=0.1, r_0=0.1, r_1=0.5).ratios(STAGES, 28)
    with pytest.raises(Misuse, match=r"r_0=0.9 and r_1=0.9 leave r_2=-"):
        VFlowOpt(keep=0.1, r_0=0.9, r_1=0.9).ratios(STAGES, 28)
    with pytest.raises(Misuse, match="give both"):
        VFlowOpt(keep=0.1, r_0=0.9).ratios(STAGES, 28)


def test_one_map_serves_every_stage():
    reducers = VFlowOpt(keep=0.25).reducers(ONEVISION)
    assert [one.site.layer for one in reducers] == [0, 9, 18]
    assert {one.needs for one in reducers} == {(CalibratedAttention(block=25, threshold=34.760),)}
    assert isinstance(reducers[0].fate, Recycle)
    for reducer, part, left in list(run(reducers, ((2, 13, 11),), class_tokens=0))[1:]:
        assert left.hidden is None
        scores = reducer.scorer.score(part)
        assert (
            scores[left.index].min()
            >= scores[~torch.isin(torch.arange(part.tokens), left.index)].max()
        )


@pytest.mark.parametrize("class_tokens", [0, 1])
@pytest.mark.parametrize("threshold", [0.0, 1.0, 1.1, 50.0])
def test_calibrated_attention_equals_the_loop(class_tokens, threshold):
    rows = 11 + class_tokens
    attention = (2 * torch.randn(3, rows, rows)).softmax(-1)
    mean = sum(attention) / 3
    patches = range(class_tokens, rows)
    received = {p: float(sum(mean[q, p] for q in patches)) / 11 for p in patches}
    average = sum(received.values()) / 11
    chosen = [p for p in patches if received[p] > threshold * average]
    chosen = chosen or [max(received, key=lambda p: received[p])]
    expected = torch.stack([mean[p, class_tokens:] for p in chosen]).mean(0)
    found = CalibratedAttention(block=0, threshold=threshold).per_patch(attention, class_tokens)
    assert torch.allclose(found, expected, atol=1e-6)
    if threshold == 0:
        assert len(chosen) == 11
        plain = mean[class_tokens:, class_tokens:].mean(0)
        assert torch.allclose(found, plain, atol=1e-6)


def test_entropy_counts_grey_values():
    flat = torch.full((3, 8, 8), 0.3)
    assert torch.equal(grey_entropy(flat, 4), torch.zeros(4))
    two = flat.clone()
    two[:, :2, :4] = 0.7  # half of the first patch
    assert torch.allclose(grey_entropy(two, 4), torch.tensor([1.0, 0, 0, 0]), atol=1e-6)
    ramp = (torch.arange(16).view(4, 4) / 255).expand(3, 4, 4)
    assert torch.allclose(grey_entropy(ramp, 4), torch.tensor([4.0]), atol=1e-5)
    assert torch.allclose(PatchEntropy().of_pixels(two, 4), torch.tensor([1.0, 0, 0, 0]).softmax(0))


def test_entropy_is_only_looked_at_where_it_counts():
    plain = VFlowOpt(keep=0.25).reducers(ONEVISION)[0]
    mixed = VFlowOpt(keep=0.25, entropy=-0.5).reducers(ONEVISION)[0]
    assert PatchEntropy() not in plain.needs
    assert PatchEntropy() in mixed.needs
    given = evidence(((1, 5, 7),), mixed.needs, class_tokens=0)
    attention, entropy = (given.seen[look] for look in mixed.needs)
    assert torch.allclose(mixed.scorer.score(given), attention - 0.5 * entropy)


def recycled_by_loop(given, scores, cell, count):
    """Raise the number that goes, one by one, until with their cells' tokens `count` are left."""
    order = sorted(range(len(scores)), key=lambda n: (float(scores[n]), n))
    for going in range(1, len(order) + 1):
        cells = {}
        for n in order[:going]:
            row, column = given.place[n].tolist()
            key = (int(given.item[n]), int(given.unit[n]), int(row // cell), int(column // cell))
            cells.setdefault(key, []).append(n)
        if len(order) - going + len(cells) <= count:
            break
    rows = {n: given.hidden[n] for n in order[going:]}
    for members in cells.values():
        weights = torch.tensor([max(0.0, float(scores[n])) for n in members])
        weights = (
            weights / weights.sum()
            if weights.sum() > 0
            else torch.ones(len(members)) / len(members)
        )
        assert torch.isclose(weights.sum(), torch.tensor(1.0))
        top = max(members, key=lambda n: (float(scores[n]), -n))
        rows[top] = sum(w * given.hidden[n] for w, n in zip(weights, members, strict=True))
    index = sorted(rows)
    return index, torch.stack([rows[n] for n in index])


@pytest.mark.parametrize("count", [13, 30, 60, 69])
@pytest.mark.parametrize("cell", [2.0, 2.7, 5.0])
def test_recycling_equals_the_loop(count, cell):
    given = evidence(((2, 5, 7),), seed=count)
    scores = torch.randn(70, generator=torch.Generator().manual_seed(count)) + 1
    if cell == 2.0 and count == 13:
        count = 27  # 2 x 3 x 4 cells
    leaf = given.hidden.requires_grad_()
    found = Recycle(cell=cell).apply(given, scores, count)
    index, rows = recycled_by_loop(given, scores, cell, count)
    assert len(index) == count
    assert found.index.tolist() == index
    assert torch.allclose(found.hidden, rows, atol=1e-5)
    weights = torch.randn(rows.shape)
    ours, theirs = (torch.autograd.grad((x * weights).sum(), leaf)[0] for x in (found.hidden, rows))
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_recycled_weights_sum_to_one_in_a_cell():
    given = evidence(((2, 5, 7),))
    given = replace(given, hidden=torch.eye(70))
    scores = torch.rand(70)
    found = Recycle(cell=2.0).apply(given, scores, 31)
    assert torch.allclose(found.hidden.sum(1), torch.ones(31), atol=1e-6)
    # every token is in exactly one mean, in proportion to its importance within it
    assert ((found.hidden > 0).sum(0) == 1).all()
    for row in found.hidden:
        members = row > 0
        assert torch.allclose(row[members] * scores[members].sum(), scores[members], atol=1e-6)


@pytest.mark.parametrize("count", [1, 2, 5])
def test_cells_grow_where_the_budget_is_below_their_number(count):
    given = evidence(((3, 5, 7),))
    found = Recycle(cell=1.5).apply(given, torch.rand(105), count)
    assert len(found.index) == count


def test_a_search_finds_the_top_of_a_hill():
    def hill(method):
        spread = (method.threshold - 30) ** 2 / 2500 + (method.cell - 15) ** 2 / 441
        return 5 - spread - (method.entropy - 0.25) ** 2 - (method.r_0 - 0.13) ** 2 * 400

    found = search_schedule(hill, keep=0.1, shape=ONEVISION, trials=20, startup=10, seed=1)
    assert len(found.values) == 20
    assert found.value == hill(found.method) == max(found.values)
    assert found.value > 4.9
    assert max(found.values[:10]) < found.value


def test_every_trial_meets_the_budget_and_a_seed_repeats_them():
    seen = []

    def spend(method):
        seen.append(method)
        assert mean_keep(method.ratios(STAGES, 28), STAGES, 28) == pytest.approx(0.3)
        return method.r_1

    once = search_schedule(spend, keep=0.3, shape=ONEVISION, trials=9, startup=9)
    again = search_schedule(spend, keep=0.3, shape=ONEVISION, trials=9, startup=9)
    assert seen[:9] == seen[9:]
    assert once == again
    assert len(set(seen)) == 9
    assert all(0.3 <= one.r_0 <= 0.45 and 0 <= one.threshold <= 50 for one in seen)
    assert all(3 <= one.cell <= 24 and -1 <= one.entropy <= 1 for one in seen)


@pytest.mark.parametrize("depth", [2, 3, 28])
def test_bounds_hold_the_last_ratio_within_reach(depth):
    stages = stages_of(host(depth=depth))
    for r_0 in (0.2, 0.25, 0.3):
        least, most = bounds(0.2, r_0, stages, depth)
        assert least <= most <= 1
        for r_1 in (least, (least + most) / 2, most):
            assert 0 < last_ratio(0.2, r_0, r_1, stages, depth) <= 1 + 1e-9


def test_nothing_to_search_is_refused():
    for told in ({"keep": 1.0}, {"keep": 0.1, "trials": 0}, {"keep": 0.0}):
        with pytest.raises(Misuse):
            search_schedule(lambda method: 0.0, shape=ONEVISION, **told)


def test_agreement_is_the_number_of_samples_without_pruning():
    states = torch.randn(5, 7)
    assert agreement(states, states) == pytest.approx(5)
    assert agreement(states, -states) == pytest.approx(-5)
    broken = states.clone()
    broken[2] = torch.nan
    assert agreement(states, broken) == pytest.approx(4)

"""Sparsity meets similarity: the bend of the curve, and two stages."""

from dataclasses import replace

import pytest
import torch
from tests.compression.made_up import evidence, host, run

from chiasm.compression.alive import counted
from chiasm.compression.budgets import Share
from chiasm.compression.evidence import Asks, DecoderAttention, Question
from chiasm.compression.knee import Knee, knee
from chiasm.compression.methods.sparsity_similarity import SparsitySimilarity
from chiasm.cost.reduced import prefill_flops
from chiasm.lineages.hosts import VICUNA_7B

pytestmark = pytest.mark.evidence(slug="sparsity-similarity", grade="lawful")
SHAPE = host(depth=32)


def long_tail(count=577, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.rand(count, generator=draw).pow(9)


@pytest.mark.parametrize("seed", range(5))
def test_the_bend_follows_neither_scale_nor_order(seed):
    scores = long_tail(seed=seed)
    found = knee(scores)
    assert found is not None and 0 < found < 289
    draw = torch.Generator().manual_seed(seed)
    shuffled = scores[torch.randperm(577, generator=draw)]
    assert knee(shuffled) == found
    assert knee(3.5 * scores - 11) == found
    assert knee(1e-6 * scores.double()) == found


@pytest.mark.parametrize("high", [1, 5, 16, 17, 101, 288, 400, 570])
def test_a_step_is_cut_at_the_step(high):
    scores = torch.full((577,), 0.1)
    scores[torch.randperm(577, generator=torch.Generator().manual_seed(high))[:high]] = 0.9
    assert knee(scores) == high
    budget = Knee(share=Share(0.2))
    assert budget.count(scores) == min(288, max(16, high))


def test_the_bend_is_farthest_below_the_chord():
    """Without smoothing, on a curve that no gap disturbs: by the definition."""
    value = torch.linspace(1, 0, 201).double().pow(5)
    rank = torch.linspace(0, 1, 201).double()
    expected = int((1 - rank - value).argmax())
    assert knee(value, window=1) == expected
    assert abs(knee(value) - expected) <= 1


@pytest.mark.parametrize("count", [1, 2, 3, 7, 31, 577])
def test_constant_scores_get_the_clip(count):
    assert knee(torch.ones(count)) is None
    least = min(16, count)
    assert Knee(share=Share(0.2)).count(torch.ones(count)) == max(least, count // 2)


def test_a_curve_above_its_chord_has_no_bend():
    assert knee(1 - torch.linspace(0, 1, 101).pow(3)) is None


def test_pictures_of_other_clutter_keep_other_numbers():
    budget = Knee(share=Share(0.22))
    simple, cluttered = long_tail(), torch.rand(577, generator=torch.Generator().manual_seed(1))
    cluttered[:190] += 2
    assert budget.count(simple) < budget.count(cluttered) == 190


def test_stage_one_ignores_the_question_stage_two_does_not():
    first, second = SparsitySimilarity(keep=0.22).reducers(SHAPE)
    assert not any(isinstance(look, DecoderAttention | Question) for look in first.needs)
    assert second.needs == (DecoderAttention(asks=Asks.QUESTION),)
    assert first.site.layer == 0 and second.site.layer == 2
    made = evidence(((1, 7, 11),), second.needs)
    (look,) = second.needs
    attention = made.seen[look]
    changed = replace(made, seen={look: attention.flip(-1)})
    assert not torch.equal(second.reduce(made).index, second.reduce(changed).index)
    kept = attention.mean((0, 1))[made.row].topk(round(0.5 * 77 + 1e-6)).indices.sort().values
    assert torch.equal(second.reduce(made).index, kept)


@pytest.mark.parametrize("keep", [0.1, 0.22, 0.5, 0.9])
def test_two_stages_meet_the_budget(keep):
    reducers = SparsitySimilarity(keep=keep).reducers(SHAPE)
    assert counted(reducers, ((576,),), 32).keep == pytest.approx(keep, abs=1 / 576)


def test_each_picture_s_own_bend_is_met_where_it_is_asked_for():
    reducers = SparsitySimilarity(keep=0.2, by_sample=True).reducers(SHAPE)
    for reducer, part, left in run(reducers, ((2, 23, 25),)):
        if reducer.site.layer == 0:
            scores = part.seen[reducer.scorer.look]
            assert len(left.index) == Knee(share=Share(0.2)).count(scores)


def test_127_tokens_are_29_percent_of_the_prefill():
    whole = prefill_flops(VICUNA_7B, (576,) * 32, text=64)
    assert prefill_flops(VICUNA_7B, (127,) * 32, text=64) / whole == pytest.approx(0.29, abs=0.005)

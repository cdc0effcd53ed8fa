"""One loss whose settings are InfoNCE, several positives, smoothing, masks and weights."""

import math

import pytest
import torch
import torch.nn.functional as F

from chiasm.objectives import Contrastive, same_items

QUERIES, CANDIDATES = 5, 7


@pytest.fixture
def scores():
    generator = torch.Generator().manual_seed(3)
    return torch.randn(QUERIES, CANDIDATES, generator=generator, requires_grad=True)


def first(queries=QUERIES, candidates=CANDIDATES):
    return torch.eye(queries, candidates)


def slowly(scores, targets, allowed, weights, temperature, smoothing):
    """The equation, a query at a time."""
    total, weighed = 0.0, 0.0
    for i in range(scores.shape[0]):
        among = [j for j in range(scores.shape[1]) if allowed[i, j]]
        mass = sum(float(targets[i, j]) for j in among)
        if not mass:
            continue
        partition = sum(torch.exp(scores[i, j] / temperature) for j in among)
        loss = 0.0
        for j in among:
            p = (1 - smoothing) * targets[i, j] / mass + smoothing / len(among)
            loss = loss - p * torch.log(torch.exp(scores[i, j] / temperature) / partition)
        total, weighed = total + weights[i] * loss, weighed + weights[i]
    return total / weighed


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_equals_the_equation_in_values_and_gradients(scores, smoothing):
    generator = torch.Generator().manual_seed(4)
    targets = torch.rand(QUERIES, CANDIDATES, generator=generator)
    allowed = torch.rand(QUERIES, CANDIDATES, generator=generator) < 0.6
    targets = targets * allowed * (torch.rand(QUERIES, CANDIDATES, generator=generator) < 0.7)
    targets[2] = 0
    weights = torch.rand(QUERIES, generator=generator) + 0.1
    fast = Contrastive(temperature=0.7, smoothing=smoothing).judge(
        scores, targets, allowed, weights
    )
    slow = slowly(scores, targets, allowed, weights, 0.7, smoothing)
    torch.testing.assert_close(fast, slow)
    torch.testing.assert_close(
        torch.autograd.grad(fast, scores)[0], torch.autograd.grad(slow, scores)[0]
    )


def test_one_target_is_cross_entropy(scores):
    found = Contrastive(temperature=0.2).judge(scores, first())
    wanted = F.cross_entropy(scores / 0.2, torch.arange(QUERIES))
    torch.testing.assert_close(found, wanted)


def test_equal_scores_cost_the_logarithm_of_the_candidates():
    """ALIGN's check: before anything is learnt the loss is log N."""
    found = Contrastive().judge(torch.full((4, 9), 0.3), first(4, 9))
    assert found.item() == pytest.approx(math.log(9), rel=1e-5)


def test_a_constant_on_all_scores_changes_nothing(scores):
    loss = Contrastive()
    torch.testing.assert_close(loss.judge(scores + 0.5, first()), loss.judge(scores, first()))


def test_what_is_not_allowed_has_no_gradient(scores):
    allowed = torch.ones(QUERIES, CANDIDATES, dtype=torch.bool)
    allowed[:, 6] = False
    Contrastive().judge(scores, first(), allowed).backward()
    assert scores.grad is not None and not scores.grad[:, 6].any() and scores.grad[:, 5].any()


def test_groups_that_do_not_compete_are_losses_of_their_own():
    """UNITE's check: with k target modalities the loss is the mean of the groups', by size."""
    generator = torch.Generator().manual_seed(5)
    scores = torch.randn(6, 6, generator=generator)
    kind = torch.tensor([0, 0, 0, 0, 1, 1])
    loss = Contrastive(temperature=0.3)
    masked = loss.judge(scores, torch.eye(6), kind[:, None] == kind)
    groups = [
        loss.judge(scores[kind == k][:, kind == k], torch.eye(n)) for k, n in ((0, 4), (1, 2))
    ]
    torch.testing.assert_close(masked, (4 * groups[0] + 2 * groups[1]) / 6)


def test_duplicates_are_positives_by_their_numbers():
    targets = same_items(torch.tensor([4, 9]), torch.tensor([9, 4, 9]))
    assert targets.tolist() == [[0, 1, 0], [1, 0, 1]]
    even = Contrastive(temperature=1.0).judge(torch.zeros(2, 3), targets)
    assert even.item() == pytest.approx(math.log(3))


def test_both_ways_is_the_mean_of_both(scores):
    square = scores[:, :QUERIES]
    one = Contrastive(temperature=0.4)
    wanted = (one.judge(square, torch.eye(QUERIES)) + one.judge(square.T, torch.eye(QUERIES))) / 2
    found = Contrastive(temperature=0.4, both_ways=True).judge(square, torch.eye(QUERIES))
    torch.testing.assert_close(found, wanted)


def test_a_learnt_temperature_receives_a_gradient(scores):
    temperature = torch.tensor(0.07, requires_grad=True)
    Contrastive().judge(scores, first(), temperature=temperature).backward()
    assert temperature.grad is not None and temperature.grad.isfinite() and temperature.grad != 0


def test_refusals(scores):
    with pytest.raises(ValueError, match="nothing to learn from"):
        Contrastive().judge(scores, torch.zeros(QUERIES, CANDIDATES))
    with pytest.raises(ValueError, match="not among the allowed"):
        Contrastive().judge(scores, first(), torch.zeros(QUERIES, CANDIDATES, dtype=torch.bool))

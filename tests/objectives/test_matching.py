"""PCME's likelihood of a match, and its loss."""

import pytest
import torch

from chiasm.objectives.matching import SoftMatching, log_match

WIDTH = 5


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_equation_a_pair_of_draws_at_a_time():
    x, y = drawn(2, 3, WIDTH), drawn(4, 3, WIDTH, seed=1)
    likely, unlikely = log_match(x, y, 1.5, 2.0)
    for i, one in enumerate(x):
        for j, other in enumerate(y):
            z = torch.stack([2.0 - 1.5 * (a - b).norm() for a in one for b in other])
            p = (z.exp() / (z.exp() + (-z).exp())).mean()
            torch.testing.assert_close(likely[i, j].exp(), p)
            torch.testing.assert_close(unlikely[i, j].exp(), 1 - p)


def test_sure_draws_are_the_deterministic_sigmoid():
    x, y = drawn(2, 1, WIDTH), drawn(4, 1, WIDTH, seed=1)
    many = [one.expand(-1, 7, -1) for one in (x, y)]
    apart = torch.cdist(x[:, 0], y[:, 0])
    torch.testing.assert_close(
        log_match(*many, 1.5, 2.0)[0].exp(), (2 * (2 - 1.5 * apart)).sigmoid()
    )


def test_finite_at_a_distance_of_a_thousand():
    x = drawn(2, 3, WIDTH).requires_grad_()
    loss = SoftMatching().judge(log_match(x, x.detach() + 1000, 15.0, 15.0), torch.eye(2).bool())
    loss.backward()
    assert bool(loss.isfinite()) and x.grad is not None and bool(x.grad.isfinite().all())


def test_the_likelihood_falls_with_distance():
    x = drawn(1, 3, WIDTH)
    found = [log_match(x, x + far, 1.0, 1.0)[0].item() for far in (0, 0.5, 1, 2, 5)]
    assert found == sorted(found, reverse=True)


def test_the_prior_is_the_divergence_from_a_standard_normal():
    mean, log_sigma = drawn(3, WIDTH), 0.3 * drawn(3, WIDTH, seed=1)
    own = torch.distributions.Normal(mean, log_sigma.exp())
    wanted = torch.distributions.kl_divergence(own, torch.distributions.Normal(0.0, 1.0)).sum()
    torch.testing.assert_close(SoftMatching(prior=0.5).judge_prior(mean, log_sigma), 0.5 * wanted)


@pytest.mark.parametrize("good", [0, 1])
def test_pairs_that_match_are_drawn_together(good):
    matches = torch.tensor([[True, False]])
    x, y = torch.zeros(1, 1, WIDTH), torch.zeros(2, 1, WIDTH)
    y[1 - good] += 3
    found = SoftMatching().judge(log_match(x, y, 1.0, 1.0), matches)
    other = SoftMatching().judge(log_match(x, y, 1.0, 1.0), ~matches)
    assert (found < other) == (good == 0)

"""Three ways of re-routing, each beside its equation written out, and what they regain."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from chiasm.errors import Misuse
from chiasm.spec import registered
from chiasm.training.rerouting import (
    KernelRegression,
    ModeFinding,
    NeighbourhoodDescent,
    References,
    onto_simplex,
)

if "r2-t2" not in registered():
    pytest.skip("r2-t2 is not installed", allow_module_level=True)
lawful = pytest.mark.evidence(slug="r2-t2", grade="lawful")

EXPERTS, WIDTH = 4, 6
METHODS = (NeighbourhoodDescent(first_rate=0.1), KernelRegression(), ModeFinding())


def drawn(count: int, seed: int = 0) -> References:
    generator = torch.Generator().manual_seed(seed)
    keys = torch.randn(count, WIDTH, generator=generator)
    return References(keys, torch.randn(count, EXPERTS, generator=generator).softmax(-1))


@lawful
@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=1, max_size=7))
def test_the_nearest_point_of_the_simplex(values):
    """Against the threshold found by bisection."""
    r = torch.tensor(values, dtype=torch.float64)
    low, high = float(r.min()) - 1, float(r.max())
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if (r - middle).clamp(min=0).sum() > 1 else (low, middle)
    torch.testing.assert_close(onto_simplex(r), (r - low).clamp(min=0), atol=1e-9, rtol=0)
    again = onto_simplex(onto_simplex(r))
    torch.testing.assert_close(again, onto_simplex(r), atol=1e-9, rtol=0)


@lawful
@pytest.mark.parametrize("method", METHODS, ids=lambda m: type(m).__name__)
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 99))
def test_the_routing_stays_on_the_simplex_and_what_it_was_given_stays(method, seed):
    references = drawn(7, seed)
    torch.manual_seed(seed)
    aim, key = torch.randn(7, EXPERTS), torch.randn(WIDTH)
    routing = torch.randn(EXPERTS).softmax(-1)
    held = routing.clone(), references.keys.clone(), references.routings.clone()
    found = method.reroute(routing, key, references, lambda r, at: (r - aim[at]).square().sum(-1))
    assert float(found.min()) >= 0
    torch.testing.assert_close(found.sum(), torch.tensor(1.0))
    assert all(
        torch.equal(a, b)
        for a, b in zip(held, (routing, references.keys, references.routings), strict=True)
    )


@lawful
def test_neighbours_are_the_nearest_by_cosine():
    references, key = drawn(9), torch.randn(WIDTH, generator=torch.Generator().manual_seed(5))
    cosines = [float(k @ key / (k.norm() * key.norm())) for k in references.keys]
    best = sorted(range(9), key=lambda at: -cosines[at])[:3]
    index, shares = references.near(key, 3)
    assert index.tolist() == best
    expected = torch.tensor([max(cosines[at], 0.0) for at in best])
    torch.testing.assert_close(shares, expected / expected.sum())
    opposite = References(-key.expand(3, -1), references.routings[:3])
    torch.testing.assert_close(opposite.near(key, 2)[1], torch.tensor([0.5, 0.5]))
    with pytest.raises(Misuse, match="12 neighbours are asked for among 9 references"):
        references.near(key, 12)


@lawful
def test_descent_is_adam_on_the_weighed_loss():
    """One step, by hand: Adam's first step is the rate times the gradient's sign."""
    references, key = drawn(7), torch.randn(WIDTH, generator=torch.Generator().manual_seed(6))
    aim = torch.randn(7, EXPERTS, generator=torch.Generator().manual_seed(7))
    r = torch.full((EXPERTS,), 0.25)
    index, shares = references.near(key, 5)
    gradient = sum(s * 2 * (r - aim[at]) for s, at in zip(shares, index, strict=True))
    method = NeighbourhoodDescent(steps=1, first_rate=0.03)
    found = method.reroute(r, key, references, lambda r, at: (r - aim[at]).square().sum(-1))
    expected = onto_simplex(r - 0.03 * gradient.sign())
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)
    assert torch.equal(
        NeighbourhoodDescent(steps=0).reroute(r, key, references, lambda r, at: r), r
    )


@lawful
def test_regression_takes_the_share_with_the_least_loss():
    references, key = drawn(7), torch.randn(WIDTH, generator=torch.Generator().manual_seed(8))
    index, shares = references.near(key, 5)
    mean = sum(s * references.routings[at] for s, at in zip(shares, index, strict=True))
    r, method = torch.full((EXPERTS,), 0.25), KernelRegression()
    for share in method.shares:
        aim = share * mean + (1 - share) * r
        found = method.reroute(
            r, key, references, lambda r, at, aim=aim: (r - aim).square().sum().expand(len(at))
        )
        torch.testing.assert_close(found, aim)


@lawful
def test_the_mode_is_found_in_the_space_of_routings():
    """Two clusters: the routing goes to the nearer one's middle, whatever the key."""
    near = torch.tensor([0.7, 0.1, 0.1, 0.1]) + 0.01 * torch.randn(5, 4)
    far = torch.tensor([0.0, 0.0, 0.1, 0.9]).expand(5, -1)
    references = References(torch.randn(10, WIDTH), torch.cat([far, near]))
    start = torch.tensor([0.4, 0.2, 0.2, 0.2])
    index, kernel = references.near_in_routing(start, 5, 0.3)
    gaussian = torch.tensor(
        [float((-(start - references.routings[at]).square().sum() / 0.18).exp()) for at in index]
    )
    assert set(index.tolist()) == {5, 6, 7, 8, 9}
    torch.testing.assert_close(kernel, gaussian / gaussian.sum())
    found = ModeFinding(steps=12).reroute(start, torch.randn(WIDTH), references, lambda r, at: r)
    torch.testing.assert_close(found, near.mean(0), atol=0.01, rtol=0)


@lawful
def test_ten_steps_with_five_neighbours_cost_150_passes():
    seen: list[int] = []

    def loss(r, at):
        seen.append(len(at))
        return r.square().sum().expand(len(at))

    method = NeighbourhoodDescent()
    method.reroute(torch.full((EXPERTS,), 0.25), torch.ones(WIDTH), drawn(7), loss)
    assert 3 * sum(seen) == method.passes == 150
    seen.clear()
    KernelRegression().reroute(torch.full((EXPERTS,), 0.25), torch.ones(WIDTH), drawn(7), loss)
    assert sum(seen) == KernelRegression().passes == 25


class Toy:
    """Four linear experts, each right for samples of its own kind; the router takes a wrong one."""

    def __init__(self, per_kind: int) -> None:
        generator = torch.Generator().manual_seed(0)
        self.experts = torch.randn(EXPERTS, WIDTH, generator=generator)
        middles = 3 * torch.randn(EXPERTS, WIDTH, generator=generator)
        self.kind = torch.arange(EXPERTS).repeat_interleave(per_kind)
        self.x = middles[self.kind] + torch.randn(len(self.kind), WIDTH, generator=generator)
        self.y = (self.x * self.experts[self.kind]).sum(-1)

    def loss(self, r: torch.Tensor, at: torch.Tensor) -> torch.Tensor:
        said = self.x[at] @ self.experts.T
        return ((said * r).sum(-1) - self.y[at]).square()


@lawful
@pytest.mark.parametrize(
    "method",
    (NeighbourhoodDescent(first_rate=0.2, steps=20), KernelRegression()),
    ids=lambda m: type(m).__name__,
)
def test_a_corrupted_router_gets_back_most_of_the_oracles_gain(method):
    toy = Toy(per_kind=20)
    tested = torch.arange(len(toy.kind)) % 4 == 0
    shown, wrong = (~tested).nonzero().flatten(), torch.full((EXPERTS,), 0.25)
    good = 0.85 * torch.eye(EXPERTS)[toy.kind[shown]] + 0.15 / EXPERTS
    references = References(toy.x[shown], good)
    base, found, oracle = [], [], []
    for at in tested.nonzero().flatten().tolist():
        one = torch.tensor([at])
        new = method.reroute(wrong, toy.x[at], references, lambda r, i: toy.loss(r, shown[i]))
        best = torch.eye(EXPERTS)[toy.kind[at]]
        for losses, r in ((base, wrong), (found, new), (oracle, best)):
            losses.append(float(toy.loss(r, one)))
    gap = sum(base) - sum(oracle)
    assert gap > 1
    assert (sum(base) - sum(found)) / gap > 0.8

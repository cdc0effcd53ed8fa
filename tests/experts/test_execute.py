"""Executing routes: grouped and batched products against one expert after the other."""

import pytest
import torch

from chiasm.experts.execute import execute, execute_slowly
from chiasm.experts.router import Router
from chiasm.experts.routes import Routes, blocks, everyone
from chiasm.experts.selection import ExpertChoice, SoftMixture, TopLogits
from chiasm.experts.stacked import StackedFeedForward
from chiasm.layers import GatedMLP, GroupedLinear

WIDTH, HIDDEN = 13, 19


def stacked(experts: int, number=torch.float32, *, gated: bool = True) -> StackedFeedForward:
    torch.manual_seed(3)
    made = StackedFeedForward(
        lambda site, width, out: GroupedLinear(experts, width, out),
        WIDTH,
        HIDDEN,
        gated=gated,
        activation="silu",
    )
    return made.to(number)


def rows(count: int, number=torch.float32) -> torch.Tensor:
    generator = torch.Generator().manual_seed(count)
    return torch.randn(count, WIDTH, generator=generator).to(number).requires_grad_()


def routes_of(kind: str, count: int) -> Routes:
    """Routes of random scores over two groups of rows."""
    torch.manual_seed(5)
    group = torch.arange(count) % 2
    choices = {
        "top-2": (everyone(5, groups=2), TopLogits(2)),
        "all": (everyone(3, groups=2), SoftMixture()),
        "expert choice": (everyone(5, groups=2), ExpertChoice()),
        "two pools": (blocks(2, 3), ExpertChoice()),
        "few rows each": (blocks(4, 1), ExpertChoice(capacity=0.5)),
    }
    eligibility, selection = choices[kind]
    router = Router(eligibility=eligibility, selection=selection, penalties=()).build(WIDTH)
    return router(rows(count).detach(), group, torch.ones(count, dtype=torch.bool))


def made(way, count, routes, number, gated=True):
    experts, x = stacked(routes.experts, number, gated=gated), rows(count, number)
    weight = routes.weight.detach().requires_grad_()
    y = way(x, Routes(routes.row, routes.expert, weight, routes.experts, routes.sizes), experts)
    (y * torch.linspace(-1, 1, y.numel()).view_as(y).to(number)).sum().backward()
    grads = [p.grad for p in experts.parameters()]
    return [y.detach(), x.grad, weight.grad, *grads]


@pytest.mark.parametrize(("number", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 6e-2)])
@pytest.mark.parametrize("count", [0, 1, 2, 23])
@pytest.mark.parametrize("kind", ["top-2", "all", "expert choice", "two pools", "few rows each"])
def test_values_and_gradients_equal_the_loop(kind, count, number, tolerance):
    routes = routes_of(kind, count)
    fast, slow = (made(way, count, routes, number) for way in (execute, execute_slowly))
    for got, expected in zip(fast, slow, strict=True):
        got = torch.zeros_like(expected) if got is None and expected is not None else got
        if expected is None:
            assert got is None or not bool(got.any())
            continue
        assert got.shape == expected.shape
        torch.testing.assert_close(got, expected, rtol=tolerance, atol=tolerance)


def test_without_a_gate_too():
    routes = routes_of("top-2", 11)
    fast, slow = (
        made(way, 11, routes, torch.float32, gated=False) for way in (execute, execute_slowly)
    )
    for got, expected in zip(fast, slow, strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def test_a_row_that_passes_one_expert_twice_counts_twice():
    experts, x = stacked(2), rows(3)
    once = Routes(torch.tensor([1]), torch.tensor([0]), torch.tensor([0.5]), 2)
    twice = Routes(torch.tensor([1, 1]), torch.tensor([0, 0]), torch.tensor([0.25, 0.25]), 2)
    torch.testing.assert_close(execute(x, once, experts), execute(x, twice, experts))


def test_rows_without_an_expert_get_zeros():
    y = execute(rows(4), Routes(torch.tensor([2]), torch.tensor([1]), torch.ones(1), 3), stacked(3))
    assert y.abs().sum(1).ne(0).tolist() == [False, False, True, False]


def test_a_skewed_choice_leaves_experts_empty():
    """Every row to the last expert: the others' gradients are zero, not missing or NaN."""
    experts, x = stacked(4), rows(6)
    routes = Routes(torch.arange(6), torch.full((6,), 3), torch.ones(6), 4)
    execute(x, routes, experts).sum().backward()
    for parameter in experts.parameters():
        assert parameter.grad.isfinite().all()
        assert [bool(g.any()) for g in parameter.grad] == [False, False, False, True]


def test_copies_of_a_dense_feed_forward_are_that_feed_forward():
    torch.manual_seed(1)
    dense, experts, x = GatedMLP(WIDTH, HIDDEN), stacked(4), rows(9)
    experts.copy_from(dense)
    row, expert = torch.arange(9).repeat_interleave(2), torch.arange(18) % 4
    weight = torch.tensor([0.3, 0.7]).repeat(9)
    got = execute(x, Routes(row, expert, weight, 4), experts)
    torch.testing.assert_close(got, dense(x), rtol=1e-5, atol=1e-5)

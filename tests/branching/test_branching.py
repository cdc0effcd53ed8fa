"""Partitions, the exact expected cost, trees that only part, and networks that share blocks."""

from itertools import product

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from chiasm.branching import (
    Block,
    Branched,
    Encoder,
    Supergraph,
    Task,
    Tree,
    drawn,
    expected_cost,
    expected_cost_slowly,
    extracted,
    induced,
    meet,
    partitions,
    reached,
    refines,
)
from chiasm.branching.blocks import InvertedResidual, rows
from chiasm.errors import Misuse

pytestmark = pytest.mark.evidence(slug="branched-mtl", grade="lawful")

TINY = Encoder(side=14, blocks=rows(3, (1, 5, 1, 2), (3, 7, 1, 1)))
"""Two layers."""
TASKS = (
    Task(name="shape", classes=5),
    Task(name="thing", classes=2),
    Task(name="grain", classes=4),
)


def probabilities(layers: int, tasks: int, seed: int = 0, *, grad: bool = False) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    p = (3 * torch.randn(layers, tasks, tasks, generator=generator, dtype=torch.double)).softmax(-1)
    return p.requires_grad_(grad)


@pytest.mark.parametrize(("tasks", "bell"), [(1, 1), (2, 2), (3, 5), (4, 15), (5, 52)])
def test_partitions_are_as_many_as_bells_numbers(tasks: int, bell: int) -> None:
    every = partitions(tasks)
    assert len(every) == len(set(every)) == bell
    assert {induced(choice) for choice in product(range(tasks), repeat=tasks)} == set(every)
    assert every[0] == (0,) * tasks and every[-1] == tuple(range(tasks))


def test_the_meet_is_the_coarsest_partition_that_refines_both() -> None:
    every = partitions(4)
    for one, other in product(every, every):
        both = [k for k in every if refines(k, one) and refines(k, other)]
        assert all(refines(k, meet(one, other)) for k in both) and meet(one, other) in both


@pytest.mark.parametrize("tasks", [2, 3, 5])
def test_probabilities_of_partitions_sum_to_one(tasks: int) -> None:
    p = probabilities(3, tasks, seed=tasks)
    for found in (drawn(p), reached(p)):
        assert found.shape == (3, len(partitions(tasks))) and bool((found >= -1e-12).all())
        torch.testing.assert_close(found.sum(-1), torch.ones(3, dtype=torch.double))


def test_draws_alone_against_counting() -> None:
    p = probabilities(1, 3)
    for at, k in enumerate(partitions(3)):
        wanted = sum(
            p[0, 0, a] * p[0, 1, b] * p[0, 2, c]
            for a, b, c in product(range(3), repeat=3)
            if induced((a, b, c)) == k
        )
        torch.testing.assert_close(drawn(p)[0, at], wanted)


@pytest.mark.parametrize(("layers", "tasks"), [(1, 4), (2, 3), (4, 2)])
def test_the_expected_cost_against_every_draw(layers: int, tasks: int) -> None:
    flops = torch.tensor([2.0, 3.0, 5.0, 7.0], dtype=torch.double)[:layers]
    ours, slow = (probabilities(layers, tasks, grad=True) for _ in range(2))
    fast, reference = expected_cost(ours, flops), expected_cost_slowly(slow, flops)
    torch.testing.assert_close(fast, reference)
    fast.backward(), reference.backward()
    assert ours.grad is not None and slow.grad is not None
    # Probabilities that sum to one have no gradient along the sum.
    torch.testing.assert_close(
        ours.grad - ours.grad.mean(-1, True), slow.grad - slow.grad.mean(-1, True)
    )


def test_what_is_reached_only_gets_finer() -> None:
    p = probabilities(5, 4)
    sizes = torch.tensor([len(set(k)) for k in partitions(4)]).double()
    counts = reached(p) @ sizes
    assert bool((counts.diff() >= -1e-12).all())
    # Intersected draws part fewer tasks than holding all apart does.
    choices = torch.stack(
        [torch.multinomial(one, 4000, replacement=True) for one in p.flatten(0, 1)]
    ).view(5, 4, -1)
    intersected = torch.zeros(5, dtype=torch.double)
    for draw in choices.permute(2, 0, 1).tolist():
        before = (0, 0, 0, 0)
        for layer, choice in enumerate(draw):
            before = meet(before, induced(choice))
            intersected[layer] += len(set(before)) / 4000
    assert bool((intersected <= counts + 0.05).all())


@pytest.mark.parametrize("tasks", [2, 3, 5])
def test_the_ends_of_the_cost(tasks: int) -> None:
    flops = torch.tensor([2.0, 3.0, 5.0])
    on_one = torch.zeros(3, tasks, tasks)
    on_one[..., tasks - 1] = 1
    assert expected_cost(on_one, flops) == flops.sum()
    apart = torch.eye(tasks).expand(3, -1, -1)
    assert expected_cost(apart, flops) == tasks * flops.sum()


def test_branches_never_merge_again() -> None:
    generator = torch.Generator().manual_seed(3)
    for _ in range(50):
        alpha = torch.randn(6, 5, 5, generator=generator)
        tree = Tree.of(alpha)
        assert list(tree.branches) == sorted(tree.branches)
        for coarse, fine in zip(tree.layers, tree.layers[1:], strict=False):
            assert refines(fine, coarse)
        assert tree.layers[0] == induced(alpha[0].argmax(-1).tolist())
    with pytest.raises(Misuse, match="cannot merge"):
        Tree(((0, 1, 2), (0, 0, 1)))


def test_a_trees_cost_and_what_two_tasks_share() -> None:
    tree = Tree(((0, 0, 0), (0, 0, 1), (0, 1, 2)))
    assert tree.branches == (1, 2, 3) and tree.cost([7, 5, 3]) == 7 + 10 + 9
    assert tree.together(0, 1) == 2 and tree.together(0, 2) == 1
    assert Tree.shared(3, 4).cost([7, 5, 3]) * 4 == Tree.apart(3, 4).cost([7, 5, 3])


def test_a_supergraphs_argmax_is_the_tree_that_is_extracted() -> None:
    torch.manual_seed(0)
    graph = Supergraph(TINY, TASKS)
    images = torch.randn(5, 3, 14, 14)
    for _ in range(3):  # running statistics that differ from copy to copy
        graph(images + torch.randn(5, 3, 14, 14), graph.draw(1.0).detach())
    for seed in range(5):
        with torch.no_grad():
            graph.alpha.copy_(
                torch.randn(graph.alpha.shape, generator=torch.Generator().manual_seed(seed))
            )
        tree = extracted(graph.eval())
        assert tree.tree == Tree.of(graph.alpha)
        for ours, theirs in zip(tree(images), graph(images, graph.chosen()), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)


def test_mixing_against_the_equation() -> None:
    torch.manual_seed(1)
    graph = Supergraph(TINY, TASKS).eval()
    images, mixing = torch.randn(3, 3, 14, 14), graph.draw(0.7)
    assert mixing.shape == (2, 3, 3)
    torch.testing.assert_close(mixing.sum(-1), torch.ones(2, 3))
    for task, found in enumerate(graph(images, mixing)):
        x = images
        for layer in range(2):
            copies = [graph.get_submodule(f"blocks.{layer}.{j}") for j in range(3)]
            x = sum(mixing[layer, task, j] * copies[j](x) for j in range(3))
        torch.testing.assert_close(found, graph.heads[task](x))
    with torch.no_grad():
        graph.alpha[:, :, 1] = 9.0
    cold = torch.stack([graph.draw(0.1) for _ in range(7)])
    assert bool((cold[..., 1] > 0.99).all())


def test_gradients_reach_the_branching() -> None:
    torch.manual_seed(2)
    graph = Supergraph(TINY, TASKS)
    scores = graph(torch.randn(5, 3, 14, 14), graph.draw(1.0))
    torch.stack([one.square().mean() for one in scores]).sum().backward()
    assert graph.alpha.grad is not None and bool((graph.alpha.grad.abs().sum((1, 2)) > 0).all())
    assert all(weight.grad is not None for weight in graph.weights())


def test_the_last_norms_of_searched_blocks_have_no_factors() -> None:
    graph, tree = Supergraph(TINY, TASKS), Branched(TINY, TASKS, Tree.shared(2, 3))
    assert not list(graph.get_submodule("blocks.0.0.project_norm").parameters())
    assert len(list(tree.get_submodule("blocks.0.0.project_norm").parameters())) == 2


@pytest.mark.parametrize("block", [Block(input=3, width=5, stride=2, expand=1), *TINY.blocks])
def test_flops_of_a_block_are_those_that_run(block: Block) -> None:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        InvertedResidual(block, affine=True)(torch.randn(1, block.input, 14, 14))
    assert counter.get_total_flops() == block.flops(14)


def test_a_networks_flops_are_its_trees() -> None:
    tree = Tree(((0, 0, 1), (0, 1, 2)))
    images = torch.randn(1, 3, 14, 14)
    counts = []
    for shape in (tree, Tree.shared(2, 3)):
        network = Branched(TINY, TASKS, shape)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(images)
        counts.append(counter.get_total_flops())
    flops = TINY.flops()
    assert counts[0] - counts[1] == tree.cost(flops) - Tree.shared(2, 3).cost(flops)


def test_misfits_are_refused() -> None:
    with pytest.raises(Misuse, match="reads 7 channels"):
        Encoder(side=14, blocks=(Block(input=3, width=5), Block(input=7, width=5)))
    with pytest.raises(Misuse, match="3 layers of 3 tasks"):
        Branched(TINY, TASKS, Tree.shared(3, 3))

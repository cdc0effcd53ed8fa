"""Word-patch transport: its marginals, its optimum, and what padding does to it (nothing)."""

import torch

from chiasm.objectives.transport import transport_distance, transport_plan, word_patch_alignment

WORDS, PATCHES, WIDTH = 5, 7, 11


def pair(seed: int) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)
    words = torch.randn(2, WORDS, WIDTH, generator=generator)
    patches = torch.randn(2, PATCHES, WIDTH, generator=generator)
    word_valid, patch_valid = torch.ones(2, WORDS) > 0, torch.ones(2, PATCHES) > 0
    word_valid[1, 3:], patch_valid[1, 4:] = False, False
    return words, patches, word_valid, patch_valid


def test_marginals_are_uniform_over_valid_tokens() -> None:
    _, _, words, patches = pair(0)
    plan = transport_plan(torch.rand(2, WORDS, PATCHES), words, patches)
    assert (plan >= 0).all()
    torch.testing.assert_close(
        plan.sum(1), patches / patches.sum(1, keepdim=True), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(plan.sum(2), words / words.sum(1, keepdim=True), atol=1e-3, rtol=0)


def test_the_plan_finds_the_best_matching() -> None:
    order = torch.tensor([3, 0, 4, 1, 2])
    cost = torch.ones(1, 5, 5)
    cost[0, torch.arange(5), order] = 0.0
    every = torch.ones(1, 5, dtype=torch.bool)
    plan = transport_plan(cost, every, every)
    wanted = torch.zeros(5, 5)
    wanted[torch.arange(5), order] = 0.2
    torch.testing.assert_close(plan[0], wanted, atol=1e-4, rtol=0)


def test_distances_are_not_negative_and_padding_does_not_count() -> None:
    words, patches, word_valid, patch_valid = pair(1)
    distance = transport_distance(words, patches, word_valid, patch_valid)
    assert (distance >= 0).all()
    alone = transport_distance(
        words[1:, :3], patches[1:, :4], word_valid[1:, :3], patch_valid[1:, :4]
    )
    torch.testing.assert_close(distance[1:], alone)
    same = transport_distance(words, words, word_valid, word_valid)
    assert same.max() < 1e-2 < distance.min()


def test_learning_draws_true_pairs_together_and_others_apart() -> None:
    words, patches, word_valid, patch_valid = pair(2)
    matched = torch.tensor([True, False])
    words.requires_grad_()

    def distances() -> torch.Tensor:
        return transport_distance(words, patches, word_valid, patch_valid)

    before = distances()
    word_patch_alignment(before, matched).backward()
    assert words.grad is not None and not words.grad[1, 3:].any()
    with torch.no_grad():
        words -= 0.5 * words.grad
    after = distances()
    assert after[0] < before[0] and after[1] > before[1]

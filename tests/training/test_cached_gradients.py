"""Chunked embedding gives the gradients of the whole batch."""

import pytest
import torch
from torch import nn

from chiasm.objectives import Contrastive
from chiasm.training.cached_gradients import cached_gradients


def sides(dropout: float) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(1)
    return tuple(  # type: ignore[return-value]
        nn.Sequential(nn.Linear(width, 13), nn.GELU(), nn.Dropout(dropout), nn.Linear(13, 11))
        for width in (7, 5)
    )


def gradients(*modules: nn.Module) -> list[torch.Tensor]:
    return [p.grad for module in modules for p in module.parameters() if p.grad is not None]


@pytest.mark.parametrize("sizes", [(12,), (5, 7), (1,) * 12, (3, 9)])
def test_equal_to_the_whole_batch(sizes):
    queries, candidates = sides(0.0)
    temperature = nn.Parameter(torch.tensor(0.07))
    generator = torch.Generator().manual_seed(2)
    q, c = (torch.randn(12, width, generator=generator) for width in (7, 5))

    def loss(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        scores = nn.functional.normalize(a) @ nn.functional.normalize(b).T
        return Contrastive(both_ways=True).judge(scores, torch.eye(12), temperature=temperature)

    plain = loss(queries(q), candidates(c))
    plain.backward()
    wanted = [one.clone() for one in gradients(queries, candidates)]
    own = temperature.grad.clone()  # type: ignore[union-attr]
    for module in (queries, candidates):
        module.zero_grad()
    temperature.grad = None
    found = cached_gradients((queries, candidates), (q.split(sizes), c.split(sizes)), loss)
    torch.testing.assert_close(found, plain.detach())
    torch.testing.assert_close(temperature.grad, own)
    for one, other in zip(gradients(queries, candidates), wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)


def test_dropout_is_the_same_both_times():
    """Were it drawn anew, the gradient would be that of other embeddings."""
    queries, candidates = sides(0.5)
    generator = torch.Generator().manual_seed(2)
    q, c = (torch.randn(8, width, generator=generator) for width in (7, 5))
    seen: list[torch.Tensor] = []

    def watched(x: torch.Tensor) -> torch.Tensor:
        seen.append(queries(x))
        return seen[-1]

    torch.manual_seed(9)
    cached_gradients(
        (watched, candidates),
        (q.split(3), c.split(3)),
        lambda a, b: Contrastive().judge(a @ b.T, torch.eye(8)),
    )
    for first, second in zip(seen[:3], seen[3:], strict=True):
        assert torch.equal(first, second)
    drawn = torch.rand(1)
    torch.manual_seed(9)
    with torch.no_grad():
        for part in q.split(3):
            queries(part)
        for part in c.split(3):
            candidates(part)
    assert torch.equal(torch.rand(1), drawn)


def test_a_frozen_side_is_left_alone():
    queries, candidates = sides(0.0)
    candidates.requires_grad_(False)
    generator = torch.Generator().manual_seed(2)
    q, c = (torch.randn(6, width, generator=generator) for width in (7, 5))
    cached_gradients(
        (queries, candidates),
        (q.split(2), c.split(4)),
        lambda a, b: Contrastive().judge(a @ b.T, torch.eye(6)),
    )
    assert all(p.grad is None for p in candidates.parameters())
    assert all(p.grad is not None for p in queries.parameters())

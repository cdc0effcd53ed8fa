"""The structure regulariser, and measures of how alike two spaces are."""

import math

import pytest
import torch

from chiasm.errors import Misuse
from chiasm.evaluation.representations import linear_cka, mutual_knn
from chiasm.objectives.structure import Structure, jensen_shannon

ITEMS = 17


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def turned(width, seed=1):
    return torch.linalg.qr(drawn(width, width, seed=seed))[0]


@pytest.mark.parametrize("levels", [1, 3])
def test_a_rotation_and_a_scale_keep_all_structure(levels):
    x = drawn(ITEMS, 7)
    loss = Structure(levels=levels)
    assert loss.judge(x, 3 * x @ turned(7)).item() == pytest.approx(0, abs=1e-6)
    assert loss.judge(x, drawn(ITEMS, 7, seed=2)).item() > 0.02


def test_it_teaches_the_aligned_alone():
    x, y = drawn(ITEMS, 7).requires_grad_(), drawn(ITEMS, 5, seed=2).requires_grad_()
    Structure(levels=2).judge(x, y).backward()
    assert x.grad is None
    assert y.grad is not None and bool(y.grad.isfinite().all()) and bool(y.grad.any())


def test_levels_are_weighed_by_how_far_they_look():
    """By hand, from the powers of both neighbourhoods."""
    x, y = drawn(ITEMS, 7), drawn(ITEMS, 5, seed=2)
    p, q = (Structure()._neighbours(one) for one in (x, y))
    wanted = (jensen_shannon(p, q).mean() + jensen_shannon(p @ p, q @ q).mean() / 2) / 2
    torch.testing.assert_close(Structure(levels=2).judge(x, y), wanted)


def test_jensen_shannon_has_its_bounds():
    p = torch.tensor([[1.0, 0.0], [0.5, 0.5]])
    q = torch.tensor([[0.0, 1.0], [0.5, 0.5]])
    torch.testing.assert_close(jensen_shannon(p, q), torch.tensor([math.log(2), 0.0]))
    torch.testing.assert_close(jensen_shannon(q, p), jensen_shannon(p, q))


def test_cka_sees_neither_rotation_nor_scale():
    x, y = drawn(ITEMS, 7), drawn(ITEMS, 5, seed=2)
    assert linear_cka(x, x) == pytest.approx(1)
    assert linear_cka(2 * x @ turned(7), y + 3) == pytest.approx(linear_cka(x, y))
    assert 0 < linear_cka(x, y) < 1


def test_neighbours_are_shared_wholly_or_as_by_chance():
    x = drawn(400, 9)
    assert mutual_knn(x, x @ turned(9)) == 1
    assert mutual_knn(x, drawn(400, 9, seed=3), 40) == pytest.approx(0.1, abs=0.02)


def test_refusals():
    with pytest.raises(ValueError, match="3 originals and 2 aligned"):
        Structure().judge(drawn(3, 4), drawn(2, 4))
    with pytest.raises(Misuse, match="3 and 2 items"):
        linear_cka(drawn(3, 4), drawn(2, 4))
    with pytest.raises(Misuse, match="all items of a space are alike"):
        linear_cka(torch.ones(3, 4), drawn(3, 4))
    with pytest.raises(Misuse, match="3 nearest of 3 items"):
        mutual_knn(drawn(3, 4), drawn(3, 4), 3)

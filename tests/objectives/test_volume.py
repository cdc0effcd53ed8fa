"""GRAM's volume: its bounds, what leaves it alone, and what it sees that an anchor does not."""

import torch

from chiasm.objectives.volume import pairwise_volume, volume

K, WIDTH = 3, 11


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_between_none_and_one():
    assert bool((volume(drawn(50, K, WIDTH)) <= 1).all())
    torch.testing.assert_close(volume(torch.eye(K, WIDTH)), torch.tensor(1.0))
    dependent = drawn(2, WIDTH)
    assert volume(torch.cat([dependent, dependent.sum(0, keepdim=True)])) < 2e-3


def test_two_vectors_make_a_sine():
    x = drawn(20, 2, WIDTH)
    cosine = torch.cosine_similarity(x[:, 0], x[:, 1])
    torch.testing.assert_close(volume(x), (1 - cosine**2).sqrt())


def test_rotation_order_and_signs_change_nothing():
    x = drawn(K, WIDTH)
    turned, _ = torch.linalg.qr(drawn(WIDTH, WIDTH, seed=1))
    signs = torch.tensor([1.0, -1.0, -1.0])[:, None]
    for other in (x @ turned, x[[2, 0, 1]], x * signs, 4 * x):
        torch.testing.assert_close(volume(other), volume(x))


def test_all_pairs_are_the_volumes_of_the_pairs():
    anchors, others = drawn(4, WIDTH), drawn(5, K - 1, WIDTH, seed=1)
    wanted = torch.stack(
        [torch.stack([volume(torch.cat([a[None], o])) for o in others]) for a in anchors]
    )
    torch.testing.assert_close(pairwise_volume(anchors, others), wanted)


def test_gradients_stay_finite_where_vectors_agree():
    x = drawn(1, WIDTH).expand(K, WIDTH).clone().requires_grad_()
    volume(x).backward()
    assert x.grad is not None and bool(x.grad.isfinite().all())


def test_a_third_modality_that_is_off_is_seen():
    """The anchor's cosines are all alike; how the two others agree with each other is not."""
    anchor = torch.tensor([1.0, 0, 0])
    near = torch.tensor([[0.8, 0.6, 0], [0.8, 0.6, 0]])
    apart = torch.tensor([[0.8, 0.6, 0], [0.8, 0, 0.6]])
    cosines = torch.cosine_similarity(anchor.expand(4, -1), torch.cat([near, apart]))
    torch.testing.assert_close(cosines, torch.full((4,), 0.8))
    found = pairwise_volume(anchor[None], torch.stack([near, apart]))[0]
    assert found[0] < found[1] - 0.1

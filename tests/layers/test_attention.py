"""Attention against its equation, in values and gradients, in every form of a permission."""

import pytest
import torch
from torch import Tensor

from chiasm.layers import attend, attend_slowly, merge_heads, split_heads
from chiasm.stream import Permission, TokenTable
from chiasm.visibility import Causal, block_mask, dense_mask

BATCH, QUERIES, KEYS, HEADS, WIDTH = 2, 5, 7, 6, 11


def tensors(queries: int, keys: int, kv_heads: int) -> tuple[Tensor, Tensor, Tensor]:
    torch.manual_seed(queries + keys + kv_heads)
    shapes = ((HEADS, queries), (kv_heads, keys), (kv_heads, keys))
    q, k, v = (torch.randn(BATCH, h, n, WIDTH, requires_grad=True) for h, n in shapes)
    return q, k, v


def both(
    q: Tensor, k: Tensor, v: Tensor, permission: Permission, permitted: Tensor, **options: float
) -> None:
    """Fast and slow agree in values and in the gradients of all three inputs."""
    fast = attend(q, k, v, permission, **options)
    slow = attend_slowly(q, k, v, permitted, **options)
    torch.testing.assert_close(fast, slow, atol=1e-5, rtol=1e-5)
    weights = torch.randn_like(slow)
    for mine, theirs in zip(
        torch.autograd.grad((fast * weights).sum(), (q, k, v)),
        torch.autograd.grad((slow * weights).sum(), (q, k, v)),
        strict=True,
    ):
        assert theirs.isfinite().all()
        torch.testing.assert_close(mine, theirs, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kv_heads", [1, 2, 3, 6])
def test_everything_permitted(kv_heads: int) -> None:
    q, k, v = tensors(QUERIES, KEYS, kv_heads)
    both(q, k, v, Permission(), torch.ones(BATCH, QUERIES, KEYS, dtype=torch.bool))


@pytest.mark.parametrize("kv_heads", [2, 6])
def test_causal_needs_no_mask(kv_heads: int) -> None:
    q, k, v = tensors(KEYS, KEYS, kv_heads)
    permitted = torch.ones(KEYS, KEYS, dtype=torch.bool).tril().expand(BATCH, -1, -1)
    both(q, k, v, Permission(causal=True), permitted)


@pytest.mark.parametrize("kv_heads", [2, 6])
def test_dense_mask_differs_by_sample(kv_heads: int) -> None:
    q, k, v = tensors(QUERIES, KEYS, kv_heads)
    permitted = torch.rand(BATCH, QUERIES, KEYS) < 0.5
    permitted[..., 0] = True
    both(q, k, v, Permission(dense=permitted), permitted)


def test_a_scale_of_ones_own() -> None:
    q, k, v = tensors(QUERIES, KEYS, 2)
    permitted = torch.ones(BATCH, QUERIES, KEYS, dtype=torch.bool)
    both(q, k, v, Permission(), permitted, scale=0.3)
    assert not torch.allclose(attend(q, k, v, Permission()), attend(q, k, v, Permission(), scale=1))


def test_blind_rows_read_zeros_and_pass_no_gradient() -> None:
    q, k, v = tensors(QUERIES, KEYS, 3)
    permitted = torch.rand(BATCH, QUERIES, KEYS) < 0.5
    permitted[..., 2] = True
    permitted[0, 3] = permitted[1, 0] = False
    both(q, k, v, Permission(dense=permitted), permitted)
    read = attend(q, k, v, Permission(dense=permitted))
    assert (read[0, :, 3] == 0).all() and (read[1, :, 0] == 0).all()
    (gradient,) = torch.autograd.grad(read.sum(), q)
    assert (gradient[0, :, 3] == 0).all() and gradient[0, :, 2].abs().sum() > 0


def test_a_sample_that_sees_nothing_at_all() -> None:
    q, k, v = tensors(QUERIES, KEYS, 6)
    permitted = torch.ones(BATCH, QUERIES, KEYS, dtype=torch.bool)
    permitted[1] = False
    both(q, k, v, Permission(dense=permitted), permitted)


@pytest.mark.parametrize("kv_heads", [2, 6])
def test_block_mask_equals_the_dense_mask(kv_heads: int) -> None:
    rows = 131  # two blocks of 128
    valid = torch.ones(BATCH, rows, dtype=torch.bool)
    valid[1, 2:] = False
    table = TokenTable.text(valid)
    block = block_mask(Causal(), table, table)
    counts = block.kv_num_blocks + block.full_kv_num_blocks
    assert counts[:, 0].tolist() == [[1, 2], [1, 1]], "a block without a permitted pair is read"
    q, k, v = (x.detach() for x in tensors(rows, rows, kv_heads))
    read = attend(q, k, v, Permission(block=block))
    slow = attend_slowly(q, k, v, dense_mask(Causal(), table, table))
    torch.testing.assert_close(read, slow, atol=1e-5, rtol=1e-5)


def test_heads_split_and_merge_back() -> None:
    x = torch.randn(2, 3, 5 * 7)
    heads = split_heads(x, 5)
    assert heads.shape == (2, 5, 3, 7)
    assert (heads[1, 4, 2] == x[1, 2, 28:]).all()
    assert (merge_heads(heads) == x).all()

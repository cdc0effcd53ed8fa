"""Query compression by its equation, its counts and its bill."""

import pytest
import torch
from tests.tiny import close

from chiasm.compression import NoCompression, QueryCompression
from chiasm.layers import attend_slowly, merge_heads, sine_positions, split_heads
from chiasm.stream import Features

WIDTH, HEADS = 12, 3


def module(side: int):
    torch.manual_seed(0)
    return QueryCompression(side=side, heads=HEADS).build(WIDTH)


def features(valid: torch.Tensor | None = None) -> Features:
    tokens = torch.randn(2, 15, WIDTH, generator=torch.Generator().manual_seed(1))
    return Features(tokens, (3, 5), valid)


@pytest.mark.parametrize("side", [1, 2])
@pytest.mark.parametrize("padded", [False, True])
def test_kept_features_are_their_equation(side, padded):
    """One cross-attention: q = LN(Q) + pos, k = LN(V) + pos, v = LN(V)."""
    made = module(side)
    valid = torch.arange(15).expand(2, 15) < torch.tensor([[15], [7]]) if padded else None
    given = features(valid)
    queries = made.norm_queries(made.queries) + sine_positions(side, side, WIDTH)
    normed = made.norm_features(given.tokens)
    q = split_heads(made.to_q(queries).expand(2, -1, -1), HEADS)
    k = split_heads(made.to_k(normed + sine_positions(3, 5, WIDTH)), HEADS)
    v = split_heads(made.to_v(normed), HEADS)
    mask = torch.ones(2, side**2, 15).bool() if valid is None else valid.unsqueeze(1)
    expected = made.to_out(merge_heads(attend_slowly(q, k, v, mask)))
    kept = made.keep(given)
    close(kept.tokens, expected, 1e-6)
    assert kept.grid == (side, side)


def test_padded_features_are_not_read():
    made = module(2)
    valid = torch.arange(15).expand(2, 15) < 9
    given = features(valid)
    other = given.tokens.clone()
    other[:, 9:] += 5
    assert torch.equal(made.keep(given).tokens, made.keep(Features(other, (3, 5), valid)).tokens)


def test_queries_start_small():
    torch.manual_seed(0)
    queries = QueryCompression(side=8, heads=1).build(64).queries
    assert 0.018 < float(queries.detach().std()) < 0.022


def test_counts_and_bill_by_hand():
    compression = QueryCompression(side=2, heads=HEADS)
    assert [compression.count(tokens) for tokens in (0, 3, 576)] == [0, 4, 4]
    macs = [work.macs for work in compression.work(15, WIDTH)]
    assert macs == [4 * WIDTH * 2 * WIDTH, 15 * WIDTH * 2 * WIDTH, 2 * 4 * 15 * WIDTH]


def test_without_compression_everything_is_kept():
    assert NoCompression().count(576) == 576
    assert NoCompression().build(WIDTH) is None
    assert NoCompression().work(576, WIDTH) == ()

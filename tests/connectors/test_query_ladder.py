"""The query ladder: the patches stay the encoder's, each rung reads its own layer."""

from dataclasses import replace

import pytest
import torch
from tests.operator_count import operator_macs

from chiasm.connectors import QueryLadder
from chiasm.stream import Features

WIDTH, OUT, GRID = 6, 11, (2, 3)
LADDER = QueryLadder(queries=5, rungs=3, idle=1, heads=2, ff_width=13)
LEVELS = 3
"""Two rungs are climbed, and the patches are a level of their own."""


def features(valid=None, seed=1) -> Features:
    tokens = torch.randn(2, 6, LEVELS * WIDTH, generator=torch.Generator().manual_seed(seed))
    return Features(tokens, GRID, valid)


def built():
    torch.manual_seed(0)
    return LADDER.build(LEVELS * WIDTH, OUT)


def test_patches_are_plain_and_queries_follow():
    connector, given = built(), features()
    got = connector.connect(given).embeddings
    assert got.shape == (2, LADDER.count(GRID), OUT) == (2, 11, OUT)
    plain = connector.projection(given.tokens[..., 2 * WIDTH :])
    torch.testing.assert_close(got[:, :6], plain)


def test_rungs_by_hand():
    connector, given = built(), features()
    q = connector.queries.expand(2, -1, -1)
    for rung, level in zip(connector.rungs[:2], given.tokens.split(WIDTH, -1), strict=False):
        normed, sources = rung.norm_queries(q), rung.norm_patches(level)
        heads = [x.view(2, -1, 2, 3).transpose(1, 2) for x in (rung.to_q(normed),)]
        keys, values = (
            f(sources).view(2, -1, 2, 3).transpose(1, 2) for f in (rung.to_k, rung.to_v)
        )
        weights = (heads[0] @ keys.transpose(-1, -2) * 3**-0.5).softmax(-1)
        q = q + rung.out((weights @ values).transpose(1, 2).flatten(2))
        q = q + rung.mlp(rung.norm(q))
    torch.testing.assert_close(connector.connect(given).embeddings[:, 6:], connector.projection(q))


def test_the_idle_rung_gets_no_gradient():
    connector = built()
    connector.connect(features()).embeddings.square().sum().backward()
    for at, rung in enumerate(connector.rungs):
        assert all((p.grad is not None) == (at < 2) for p in rung.parameters())


def test_padded_patches_are_not_read():
    connector = built()
    valid = torch.tensor([[1] * 6, [1, 1, 0, 1, 1, 0]]).bool()
    given = features(valid)
    got = connector.connect(given)
    assert got.valid.sum(1).tolist() == [11, 9]
    changed = torch.where(valid.unsqueeze(-1), given.tokens, 1e3)
    other = connector.connect(Features(changed, GRID, valid)).embeddings
    assert torch.equal(got.embeddings[:, 6:], other[:, 6:])


def test_published_size():
    """24 rungs beside CLIP-L hold 302.36M, the 64 queries 65,536."""
    full = QueryLadder(queries=64, rungs=24, idle=1, heads=16, ff_width=4096)
    with torch.device("meta"):
        connector = full.build(24 * 1024, 4096)
    assert sum(p.numel() for p in connector.rungs.parameters()) == 302_358_528
    assert connector.queries.numel() == 65_536
    assert full.count((24, 24)) == 640


def test_its_bill_agrees_with_the_operator_counter():
    connector, given = built(), features()
    counted = 2 * sum(line.macs for line in LADDER.work(GRID, LEVELS * WIDTH, OUT))
    assert counted == operator_macs(lambda: connector.connect(given))


def test_taps_and_rungs_must_agree():
    with pytest.raises(ValueError, match="not the 4 taps that 3 rungs"):
        replace(LADDER, idle=0).build(LEVELS * WIDTH + 1, OUT)

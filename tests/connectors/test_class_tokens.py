"""Class tokens of several layers, by one map."""

import pytest
import torch
from tests.operator_count import operator_macs

from chiasm.connectors import ClassTokens
from chiasm.errors import Misuse
from chiasm.stream import Features

LEVELS, WIDTH, HOST_WIDTH, GRID = 3, 5, 13, (1, 7)


def test_the_first_token_of_every_level_by_the_same_map() -> None:
    answer = ClassTokens(levels=LEVELS)
    connector = answer.build(LEVELS * WIDTH, HOST_WIDTH)
    taps = [torch.randn(2, 7, WIDTH) for _ in range(LEVELS)]
    given = torch.cat(taps, -1).requires_grad_()
    found = connector.connect(Features(given, GRID)).embeddings
    expected = torch.stack([connector.proj(tap[:, 0]) for tap in taps], 1)
    torch.testing.assert_close(found, expected)
    assert found.shape[1] == answer.count(GRID)
    [gradient] = torch.autograd.grad(found.square().sum(), given)
    assert bool(gradient[:, 0].ne(0).all()) and not gradient[:, 1:].any()
    assert sum(p.numel() for p in connector.parameters()) == WIDTH * HOST_WIDTH + HOST_WIDTH


def test_work_equals_the_operator_count() -> None:
    answer = ClassTokens(levels=LEVELS)
    connector = answer.build(LEVELS * WIDTH, HOST_WIDTH)
    given = Features(torch.randn(1, 7, LEVELS * WIDTH), GRID)
    counted = operator_macs(lambda: connector.connect(given))
    assert sum(w.macs for w in answer.work(GRID, LEVELS * WIDTH, HOST_WIDTH)) == counted


def test_layers_must_be_as_many_as_levels() -> None:
    with pytest.raises(Misuse, match="width 16 are not 3 layers"):
        ClassTokens(levels=LEVELS).build(16, HOST_WIDTH)

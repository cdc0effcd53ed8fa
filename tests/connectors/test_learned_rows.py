"""Learned rows around features: where they stand, and which of them are valid."""

import pytest
import torch
from tests.operator_count import operator_macs

from chiasm.connectors import LearnedRows
from chiasm.stream import Features

WIDTH, OUT, GRID = 7, 5, (2, 3)
FULL = LearnedRows(first=True, split=True, queries=4)


def features(valid=None) -> Features:
    tokens = torch.randn(2, 6, WIDTH, generator=torch.Generator().manual_seed(3))
    return Features(tokens, GRID, valid)


def test_order_of_the_rows():
    connector, given = FULL.build(WIDTH, OUT), features()
    rows = connector.connect(given).embeddings
    assert rows.shape == (2, FULL.count(GRID), OUT) == (2, 1 + 2 * 4 + 4, OUT)
    mapped = connector.projection(given.tokens)
    expected = torch.cat(
        [
            connector.first,
            mapped[1, :3],
            connector.split,
            mapped[1, 3:],
            connector.split,
            connector.queries,
        ]
    )
    torch.testing.assert_close(rows[1], expected)


@pytest.mark.parametrize(
    ("config", "count"),
    [
        (LearnedRows(first=True, split=True, queries=0), 2551),
        (LearnedRows(first=False, split=False, queries=100), 2600),
        (LearnedRows(first=False, split=False, queries=0), 2500),
    ],
)
def test_counts(config, count):
    assert config.count((50, 50)) == count


def test_padded_cells_and_their_splits_are_not_valid():
    valid = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 0, 0, 0, 0]]).bool()
    got = FULL.build(WIDTH, OUT).connect(features(valid)).valid
    assert got[0].all()
    expected = [1] + [1, 1, 0, 1] + [0, 0, 0, 0] + [1] * 4
    assert got[1].tolist() == [bool(flag) for flag in expected]


def test_its_bill_agrees_with_the_operator_counter():
    connector, given = FULL.build(WIDTH, OUT), features()
    counted = 2 * sum(line.macs for line in FULL.work(GRID, WIDTH, OUT))
    assert counted == operator_macs(lambda: connector.connect(given))

"""Walks over a grid: each has an inverse, and names its neighbours rightly."""

import itertools

import pytest
import torch

from chiasm.layers.scan_orders import BIDIRECTIONAL, CROSS, RASTER, TRI_ORIENTED, ScanOrder

GRID = (3, 5, 7)
EVERY = [
    ScanOrder(axes, reverse)
    for axes in itertools.permutations((0, 1, 2))
    for reverse in (False, True)
]


@pytest.mark.parametrize("order", EVERY, ids=str)
def test_unscan_after_scan_is_the_identity(order: ScanOrder) -> None:
    tokens = torch.randn(2, 105, 3)
    torch.testing.assert_close(order.unscan(order.scan(tokens, GRID), GRID), tokens)
    torch.testing.assert_close(order.scan(order.unscan(tokens, GRID), GRID), tokens)


@pytest.mark.parametrize("order", EVERY, ids=str)
def test_the_last_axis_named_is_the_fastest(order: ScanOrder) -> None:
    places = torch.cartesian_prod(*(torch.arange(side) for side in GRID))
    walked = order.scan(places.unsqueeze(0), GRID)[0]
    expected = sorted(
        itertools.product(*(range(side) for side in GRID)),
        key=lambda place: [place[axis] for axis in order.axes],
        reverse=order.reverse,
    )
    assert walked.tolist() == [list(place) for place in expected]


def test_named_walks_differ_and_start_with_the_raster() -> None:
    tokens = torch.randn(1, 105, 2)
    torch.testing.assert_close(RASTER.scan(tokens, GRID), tokens)
    for walks in (BIDIRECTIONAL, CROSS, TRI_ORIENTED):
        assert walks[0] == RASTER and len(set(walks)) == len(walks)
    torch.testing.assert_close(BIDIRECTIONAL[1].scan(tokens, GRID), tokens.flip(1))


def test_columns_of_a_picture() -> None:
    """Two rows of three: walked column by column."""
    assert CROSS[1].index((1, 2, 3)).tolist() == [0, 3, 1, 4, 2, 5]
    assert CROSS[3].index((1, 2, 3)).tolist() == [5, 2, 4, 1, 3, 0]


def test_misuse_is_named() -> None:
    with pytest.raises(ValueError, match="104 tokens do not fill"):
        RASTER.scan(torch.randn(1, 104, 2), GRID)
    with pytest.raises(ValueError, match="axes 0, 1, 2 once"):
        ScanOrder((0, 1, 1))

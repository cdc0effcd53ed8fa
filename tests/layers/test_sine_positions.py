"""Fixed sine positions: their equation, cell by cell."""

import math

import pytest
import torch

from chiasm.layers import sine_positions


@pytest.mark.parametrize(("rows", "columns", "width"), [(3, 5, 28), (5, 3, 31), (1, 7, 4)])
def test_every_cell_follows_the_equation(rows: int, columns: int, width: int) -> None:
    table = sine_positions(rows, columns, width)
    assert table.shape == (rows * columns, width)
    quarter = width // 4
    for row in range(rows):
        for column in range(columns):
            expected = [
                turn(place * 10_000 ** (-j / quarter))
                for place in (row, column)
                for turn in (math.sin, math.cos)
                for j in range(quarter)
            ]
            expected += [0.0] * (width - len(expected))
            got = table[row * columns + column]
            torch.testing.assert_close(got, torch.tensor(expected), atol=1e-5, rtol=1e-5)


def test_no_two_cells_are_alike() -> None:
    table = sine_positions(7, 11, 16)
    distances = torch.cdist(table, table) + torch.eye(77)
    assert distances.min() > 1e-2

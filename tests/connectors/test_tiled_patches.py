"""Places within tiles, a vector after every row, maps that are too large."""

import pytest
import torch
import torch.nn.functional as F
from tests.tiny import close

from chiasm.connectors import TiledPatches
from chiasm.stream import Features

CONFIG = TiledPatches(tile=3, most=20)


def rows_slowly(connector, tokens, grid):
    """One image, cell by cell."""
    cells = torch.empty(*grid, 7)
    for r in range(grid[0]):
        for c in range(grid[1]):
            y, x = (((-edge) % 3) // 2 + at for edge, at in zip(grid, (r, c), strict=True))
            place = connector.places[y % 3, x % 3]
            cells[r, c] = connector.projection.weight @ tokens[r * grid[1] + c] + place
    left = CONFIG.shrunk(grid)
    if left != grid:
        cells = F.interpolate(cells.permute(2, 0, 1)[None], left, mode="bilinear")[0]
        cells = cells.permute(1, 2, 0)
    return torch.cat([torch.cat([row, connector.newline[None]]) for row in cells])


@pytest.mark.parametrize("grid", [(3, 3), (2, 5), (4, 1), (5, 7), (1, 23)])
def test_tokens_equal_the_slow_reference(grid):
    torch.manual_seed(0)
    connector = CONFIG.build(5, 7)
    tokens = torch.randn(2, grid[0] * grid[1], 5)
    made = connector.connect(Features(tokens, grid))
    assert made.embeddings.shape[1] == CONFIG.count(grid) and made.valid is None
    for image in (0, 1):
        close(made.embeddings[image], rows_slowly(connector, tokens[image], grid), 1e-6)


def test_images_of_other_shapes_are_laid_out_as_alone():
    torch.manual_seed(0)
    connector, grids = CONFIG.build(5, 7), [(2, 5), (4, 3), (5, 5)]
    tokens, valid = torch.randn(3, 5, 5, 5), torch.zeros(3, 5, 5, dtype=torch.bool)
    for at, (rows, columns) in enumerate(grids):
        valid[at, :rows, :columns] = True
    made = connector.connect(Features(tokens.flatten(1, 2), (5, 5), valid.flatten(1, 2)))
    assert made.valid.sum(1).tolist() == [CONFIG.count(grid) for grid in grids]
    for at, (rows, columns) in enumerate(grids):
        own = tokens[at, :rows, :columns].flatten(0, 1)
        close(
            made.embeddings[at][made.valid[at]], rows_slowly(connector, own, (rows, columns)), 1e-6
        )


def test_places_repeat_in_every_tile():
    connector = CONFIG.build(5, 7)
    whole = connector._places((6, 3))
    assert torch.equal(whole[:3], whole[3:]) and torch.equal(whole[:3], connector.places)
    # Two rows of patches less lie in the middle of their tiles.
    assert torch.equal(connector._places((4, 3)), whole[1:5])


@pytest.mark.parametrize("grid", [(1, 1), (20, 1), (5, 7), (1, 400), (90, 2), (21, 21)])
def test_a_map_is_shrunk_within_the_budget(grid):
    rows, columns = CONFIG.shrunk(grid)
    assert 1 <= rows * columns <= 20 and rows <= grid[0] and columns <= grid[1]
    if grid[0] * grid[1] <= 20:
        assert (rows, columns) == grid

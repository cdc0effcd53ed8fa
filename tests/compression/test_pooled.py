"""Means of connected tokens over time and space, against loops and beside padding."""

import pytest
import torch
from tests.tiny import close

from chiasm.compression import PooledTokens
from chiasm.stream import Features

WIDTH = 7


def clip(frames: int, rows: int, columns: int, images: int = 2) -> Features:
    generator = torch.Generator().manual_seed(frames + rows + columns)
    tokens = torch.randn(images, frames * rows * columns, WIDTH, generator=generator)
    return Features(tokens, (frames * rows, columns))


def shares(length: int, parts: int) -> list[slice]:
    return [slice(p * length // parts, -(-(p + 1) * length // parts)) for p in range(parts)]


@pytest.mark.parametrize(
    ("frames", "kept", "side"), [(6, 2, None), (5, 2, 3), (1, 1, 2), (4, 4, 1)]
)
def test_every_token_is_the_mean_of_its_share(frames, kept, side):
    rows, columns = 5, 3
    given, config = (
        clip(frames, rows, columns),
        PooledTokens(frames=frames, kept_frames=kept, side=side),
    )
    got = config.build(WIDTH).keep(given)
    cells = given.tokens.unflatten(1, (frames, rows, columns))
    tall, wide = (rows, columns) if side is None else (side, side)
    means = [
        cells[:, t][:, :, y][:, :, :, x].mean((1, 2, 3))
        for t in shares(frames, kept)
        for y in shares(rows, tall)
        for x in shares(columns, wide)
    ]
    close(got.tokens, torch.stack(means, 1), 1e-6)
    assert got.grid == (kept * tall, wide) and got.valid is None
    assert got.tokens.shape[1] == config.count(frames * rows * columns)


@pytest.mark.parametrize("side", [2, None])
def test_padding_counts_for_nothing(side):
    """Two pictures of other sizes in one padded grid give what each gives alone."""
    config = PooledTokens(frames=1, kept_frames=1, side=side)
    small, large = clip(1, 3, 2, 1), clip(1, 5, 4, 1)
    padded = torch.full((2, 5, 4, WIDTH), 99.0)
    valid = torch.zeros(2, 5, 4, dtype=torch.bool)
    for at, one in enumerate((small, large)):
        rows, columns = one.grid
        padded[at, :rows, :columns] = one.tokens[0].unflatten(0, one.grid)
        valid[at, :rows, :columns] = True
    together = config.build(WIDTH).keep(Features(padded.flatten(1, 2), (5, 4), valid.flatten(1)))
    for at, one in enumerate((small, large)):
        alone = config.build(WIDTH).keep(one).tokens[0]
        held = together.tokens[at]
        if together.valid is not None:
            held = held[together.valid[at]]
        close(held, alone, 1e-6)


def test_no_token_stays_no_token():
    assert PooledTokens(frames=3, kept_frames=2, side=2).count(0) == 0
    assert PooledTokens(frames=3, kept_frames=2, side=None).count(0) == 0


def test_frames_must_be_equal():
    with pytest.raises(ValueError, match="7 rows of tokens are not 3 equal frames"):
        PooledTokens(frames=3, kept_frames=1, side=1).build(WIDTH).keep(clip(1, 7, 2))

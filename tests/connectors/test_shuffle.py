"""Space to depth: a bijection that keeps blocks apart, and the connectors on it."""

import pytest
import torch
from tests.operator_count import operator_macs

from chiasm.connectors import Blockwise, NormedMLP, ShuffleLinear, ShuffleSwiGLU
from chiasm.connectors.shuffle import space_to_depth
from chiasm.errors import Misuse
from chiasm.stream import Features

GRID, FACTOR, WIDTH, HOST_WIDTH = (6, 9), 3, 5, 13
ANSWERS = [
    ShuffleLinear(factor=FACTOR),
    ShuffleSwiGLU(factor=FACTOR, hidden=22),
    Blockwise(each=NormedMLP(), factor=FACTOR),
]


def test_it_is_a_bijection_of_blocks() -> None:
    """Slow reference: the tokens of each block, in reading order."""
    tokens = torch.randn(2, GRID[0] * GRID[1], WIDTH)
    grid = tokens.unflatten(1, GRID)
    blocks = [
        grid[:, FACTOR * r : FACTOR * (r + 1), FACTOR * c : FACTOR * (c + 1)].flatten(1)
        for r in range(2)
        for c in range(3)
    ]
    found = space_to_depth(tokens, GRID, FACTOR)
    assert torch.equal(found, torch.stack(blocks, 1))
    assert torch.equal(found.flatten().sort().values, tokens.flatten().sort().values)


@pytest.mark.parametrize("answer", ANSWERS, ids=str)
def test_counts_and_independent_blocks(answer: ShuffleLinear | ShuffleSwiGLU | Blockwise) -> None:
    connector = answer.build(WIDTH, HOST_WIDTH)
    tokens = torch.randn(2, GRID[0] * GRID[1], WIDTH, requires_grad=True)
    out = connector.connect(Features(tokens, GRID)).embeddings
    assert out.shape == (2, answer.count(GRID), answer.width(WIDTH, HOST_WIDTH))
    [gradient] = torch.autograd.grad(out[1, 4].sum(), tokens)
    touched = gradient[1].abs().sum(-1).unflatten(0, GRID).ne(0)
    expected = torch.zeros(GRID, dtype=torch.bool)
    expected[3:6, 3:6] = True
    assert torch.equal(touched, expected) and not gradient[0].any()


@pytest.mark.parametrize("answer", [*ANSWERS, NormedMLP()], ids=str)
def test_work_equals_the_operator_count(answer: ShuffleLinear | ShuffleSwiGLU | NormedMLP) -> None:
    connector = answer.build(WIDTH, HOST_WIDTH)
    given = Features(torch.randn(1, GRID[0] * GRID[1], WIDTH), GRID)
    counted = operator_macs(lambda: connector.connect(given))
    assert sum(work.macs for work in answer.work(GRID, WIDTH, HOST_WIDTH)) == counted


def test_published_counts() -> None:
    """SmolVLM: 64 tokens a view at factor 4 of 32 x 32, 81 at factor 3 of 27 x 27."""
    assert ShuffleLinear(factor=4).count((32, 32)) == 64
    assert ShuffleLinear(factor=3).count((27, 27)) == 81


def test_the_projector_of_vip_llava_7b() -> None:
    with torch.device("meta"):
        connector = NormedMLP().build(5 * 1024, 4096)
    assert sum(p.numel() for p in connector.parameters()) == 37_767_168


def test_a_grid_without_whole_blocks_is_refused() -> None:
    with pytest.raises(Misuse, match="6 x 9 tokens has no whole blocks of 2 x 2"):
        ShuffleLinear(factor=2).count(GRID)

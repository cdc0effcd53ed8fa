"""Convolutions over grids of tokens: their slow readings, their bills, and views side by side."""

import pytest
import torch
from tests.operator_count import operator_macs
from torch.nn import functional as F

from chiasm.connectors import LDP, CAbstractor, PooledLDP
from chiasm.connectors.convolutions import ChannelNorm, SqueezeExcite, depthwise
from chiasm.stream import Features

WIDTH, HOST_WIDTH, GRID = 7, 11, (5, 6)
ANSWERS = [LDP(), PooledLDP(side=2), CAbstractor(side=2, hidden=13, depth=2)]
ANSWERS += [CAbstractor(side=3, hidden=7, depth=1), CAbstractor(side=2, hidden=13, depth=0)]
each_answer = pytest.mark.parametrize("answer", ANSWERS, ids=str)


def features(grid=GRID, images=2, seed=0) -> Features:
    generator = torch.Generator().manual_seed(seed)
    return Features(torch.randn(images, grid[0] * grid[1], WIDTH, generator=generator), grid)


@each_answer
@pytest.mark.parametrize("grid", [GRID, (1, 1), (3, 2), (1, 7)])
def test_counts_are_what_comes_out(answer, grid):
    out = answer.build(WIDTH, HOST_WIDTH).connect(features(grid))
    assert out.embeddings.shape == (2, answer.count(grid), HOST_WIDTH)


@each_answer
def test_a_smaller_view_beside_is_read_as_if_it_came_alone(answer):
    connector = answer.build(WIDTH, HOST_WIDTH)
    small = features((3, 4), images=1, seed=1)
    maps, valid = torch.randn(1, *GRID, WIDTH), torch.zeros(1, *GRID, dtype=torch.bool)
    maps[:, :3, :4], valid[:, :3, :4] = small.tokens.unflatten(1, (3, 4)), True
    whole = features(images=1)
    beside = Features(
        torch.cat([maps.flatten(1, 2), whole.tokens]),
        GRID,
        torch.cat([valid.flatten(1), torch.ones(1, 30, dtype=torch.bool)]),
    )
    out = connector.connect(beside)
    for number, alone in enumerate((small, whole)):
        count = answer.count(alone.grid)
        valid = (
            out.embeddings[number]
            if out.valid is None
            else out.embeddings[number][out.valid[number]]
        )
        assert len(valid) == count
        torch.testing.assert_close(valid, connector.connect(alone).embeddings[0])


@each_answer
def test_its_bill_is_what_its_operators_do(answer):
    connector, given = answer.build(WIDTH, HOST_WIDTH), features(images=1)
    counted = operator_macs(lambda: connector.connect(given))
    assert sum(work.macs for work in answer.work(GRID, WIDTH, HOST_WIDTH)) == counted


@pytest.mark.parametrize("stride", [1, 2])
def test_a_depthwise_convolution_place_by_place(stride):
    """Slow reference: a loop over places, channels and neighbours."""
    conv, maps = depthwise(3, stride, bias=True), torch.randn(1, 3, 5, 6, requires_grad=True)
    rows, columns = -(-5 // stride), -(-6 // stride)
    slow = torch.zeros(1, 3, rows, columns)
    for channel in range(3):
        for row in range(rows):
            for column in range(columns):
                total = conv.bias[channel]
                for dy in range(3):
                    for dx in range(3):
                        y, x = row * stride + dy - 1, column * stride + dx - 1
                        if 0 <= y < 5 and 0 <= x < 6:
                            total = total + conv.weight[channel, 0, dy, dx] * maps[0, channel, y, x]
                slow[0, channel, row, column] = total
    fast = conv(maps)
    torch.testing.assert_close(fast, slow)
    torch.testing.assert_close(
        *(
            torch.autograd.grad(out.square().sum(), maps, retain_graph=True)[0]
            for out in (fast, slow)
        )
    )


def test_the_norm_is_over_channels_and_weights_are_one_a_channel():
    maps = torch.randn(2, 7, 3, 4)
    norm = ChannelNorm(7)
    torch.testing.assert_close(norm(maps).mean(1), torch.zeros(2, 3, 4), atol=1e-5, rtol=0)
    weigh = SqueezeExcite(7, 3, F.relu, torch.sigmoid)
    ratio = (weigh(maps) / maps).flatten(2)
    assert float((ratio.amax(2) - ratio.amin(2)).detach().abs().max()) < 1e-4
    hidden = F.relu(weigh.squeeze(maps.mean((2, 3))))
    torch.testing.assert_close(ratio.mean(2), torch.sigmoid(weigh.excite(hidden)))

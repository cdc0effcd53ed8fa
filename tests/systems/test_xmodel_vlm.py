"""The card of 189 xmodel-vlm."""

import pytest
import torch
from tests.operator_count import operator_macs
from tests.systems.card import builds_and_learns, count, on_meta, system_or_skip

from chiasm.connectors import ShuffleMLP
from chiasm.errors import Misuse
from chiasm.spec import Scale, geometry
from chiasm.stream import Features

SLUG = "xmodel-vlm"
SYSTEM = system_or_skip(SLUG)
PAPER = SYSTEM.at(Scale.PAPER)
lawful = pytest.mark.evidence(slug=SLUG, grade="lawful")
WIDTH, HOST_WIDTH, GRID = 3, 7, (5, 8)


@pytest.mark.evidence(slug=SLUG, grade="builds")
def test_builds_at_three_scales_and_learns():
    builds_and_learns(SYSTEM)


@lawful
def test_the_projector_has_the_published_size_and_gives_a_quarter_of_the_tokens():
    assert count(on_meta(PAPER), "connector") == 12_587_008
    assert geometry(PAPER, (480, 640)).placeholders == 144


@lawful
def test_it_is_a_view_of_consecutive_tokens():
    """The slow reading: `[token, width]` seen as `[token / 4, 4 width]`."""
    connector = PAPER.connector.build(WIDTH, HOST_WIDTH)
    tokens = torch.randn(2, 40, WIDTH, requires_grad=True)
    out = connector.connect(Features(tokens, GRID)).embeddings
    first, second = connector.linear_1, connector.linear_2
    strips = tokens.reshape(2, 10, 4 * WIDTH)
    expected = second(torch.nn.functional.mish(first(strips)))
    torch.testing.assert_close(out, expected)
    both = [
        torch.autograd.grad(o.square().sum(), tokens, retain_graph=True) for o in (out, expected)
    ]
    torch.testing.assert_close(both[0], both[1])


def touched(connector: torch.nn.Module, token: int) -> set[int]:
    """Which tokens of the grid an output depends on."""
    tokens = torch.randn(1, 40, WIDTH, requires_grad=True)
    out = connector.connect(Features(tokens, GRID)).embeddings
    [gradient] = torch.autograd.grad(out[0, token].sum(), tokens)
    return set(gradient[0].abs().sum(-1).nonzero().flatten().tolist())


@lawful
def test_token_j_depends_on_its_strip_alone():
    connector = PAPER.connector.build(WIDTH, HOST_WIDTH)
    for token in range(10):
        assert touched(connector, token) == set(range(4 * token, 4 * token + 4))


@lawful
def test_no_weights_make_it_a_pixel_shuffle():
    """A square of 2 x 2 holds tokens of two lines, whatever the weights."""
    square = ShuffleMLP(factor=2).build(WIDTH, HOST_WIDTH)
    wide = 4 * WIDTH
    assert square.linear_1.weight.shape == (HOST_WIDTH, wide)
    tokens = torch.randn(1, 48, WIDTH, requires_grad=True)
    out = square.connect(Features(tokens, (6, 8))).embeddings
    [gradient] = torch.autograd.grad(out[0, 0].sum(), tokens)
    seen = set(gradient[0].abs().sum(-1).nonzero().flatten().tolist())
    assert seen == {0, 1, 8, 9}
    assert all(seen != set(range(4 * j, 4 * j + 4)) for j in range(12))


@lawful
def test_lines_without_whole_strips_are_refused():
    with pytest.raises(Misuse, match="27 x 27 tokens has no whole blocks of 1 x 4"):
        PAPER.connector.count((27, 27))


@lawful
def test_its_bill_is_what_its_operators_do():
    connector = PAPER.connector.build(WIDTH, HOST_WIDTH)
    counted = operator_macs(lambda: connector.connect(Features(torch.randn(1, 40, WIDTH), GRID)))
    assert sum(w.macs for w in PAPER.connector.work(GRID, WIDTH, HOST_WIDTH)) == counted

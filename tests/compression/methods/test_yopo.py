"""YOPO's layer drop, and the slices of weights that visual rows use."""

import pytest
import torch
from tests.compression.made_up import host
from torch.nn.functional import linear, silu

from chiasm.compression.alive import counted
from chiasm.compression.methods.yopo import LayerDrop
from chiasm.compression.narrowed import first_units, heads_of
from chiasm.errors import Misuse

pytestmark = pytest.mark.evidence(slug="yopo", grade="lawful")


@pytest.mark.parametrize(("depth", "stop"), [(40, 20), (28, 24), (5, 4)])
def test_all_visual_rows_go_at_one_layer(depth, stop):
    reducers = LayerDrop(keep=stop / depth).reducers(host(depth=depth))
    assert [one.site.layer for one in reducers] == [stop]
    found = counted(reducers, ((576,),), depth)
    assert found.alive == (576,) * stop + (0,) * (depth - stop)


@pytest.mark.parametrize("keep", [0.1, 0.33, 0.99])
def test_between_two_layers_a_part_runs_one_more(keep):
    found = counted(LayerDrop(keep=keep).reducers(host(depth=28)), ((577,),), 28)
    assert found.keep == pytest.approx(keep, abs=0.5 / 577)
    layer = int(keep * 28)
    assert found.alive[:layer] == (577,) * layer and not any(found.alive[layer + 1 :])


def test_too_early_a_drop_is_refused():
    with pytest.raises(Misuse, match="before layer 2, and they can go before layer 3"):
        LayerDrop(keep=0.08).reducers(host(depth=36, first=3))


@pytest.mark.parametrize("units", [1, 7, 17])
def test_the_first_units_are_the_others_at_zero(units):
    """Values and gradients."""
    draw = torch.Generator().manual_seed(0)
    x, gate, up, down = (
        torch.randn(*shape, generator=draw, dtype=torch.float64).requires_grad_()
        for shape in ((3, 5, 11), (17, 11), (17, 11), (11, 17))
    )
    got = first_units(x, gate, up, down, silu, units)
    used = (torch.arange(17) < units).double()
    expected = linear(used * silu(linear(x, gate)) * linear(x, up), down)
    torch.testing.assert_close(got, expected)
    ours, theirs = (
        torch.autograd.grad(made.square().sum(), (x, gate, up, down)) for made in (got, expected)
    )
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other)


def test_heads_of_a_projection():
    weight = torch.arange(15 * 2).view(15, 2)
    assert torch.equal(heads_of(weight, torch.tensor([0, 3]), 3), weight[[0, 1, 2, 9, 10, 11]])
    assert heads_of(weight, torch.tensor([], dtype=torch.long), 3).shape == (0, 2)

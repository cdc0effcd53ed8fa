"""Layers of a vision transformer side by side."""

import torch

from chiasm.encoders import Levels, VisionTransformer

BASE = VisionTransformer(patch=4, width=12, depth=3, heads=2, ff_width=17)


def test_levels_are_what_the_layers_hand_on():
    torch.manual_seed(0)
    encoder = Levels(base=BASE, taps=(0, 2, 3)).build().eval()
    images = torch.randn(2, 3, 8, 12)
    states = []
    for layer in encoder.base.layers:
        layer.register_forward_hook(lambda m, given, out: states.append((given[0], out)))
    found = encoder(images)
    expected = [states[0][0], states[1][1], encoder.base.norm(states[2][1])]
    torch.testing.assert_close(found.tokens, torch.cat(expected, -1))
    assert found.grid == (2, 3)
    plain = BASE.build()
    plain.load_state_dict(encoder.base.state_dict())
    assert torch.equal(plain(images).tokens, found.taps[-1])


def test_its_width_is_that_of_all_levels():
    levels = Levels(base=BASE, taps=(0, 2, 3))
    assert levels.width == 36
    assert levels.work((8, 12)) == BASE.work((8, 12))

"""Patches of two convolutions: the second is a linear map of what the first lays side by side."""

import torch
from tests.operator_count import operator_macs
from torch import nn

from chiasm.encoders import ConvPatches

CONFIG = ConvPatches(patch=3, merge=2, hidden=7)
SIZE = (11, 17)


def images(count: int = 2, size=SIZE) -> torch.Tensor:
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(1))


def test_with_a_linear_map_it_is_two_convolutions():
    torch.manual_seed(0)
    encoder, linear = CONFIG.build(), nn.Linear(CONFIG.width, 5)
    given = images(size=(12, 18))
    second = nn.Conv2d(7, 5, 2, stride=2)
    with torch.no_grad():
        second.weight.copy_(linear.weight.view(5, 7, 2, 2))
        second.bias.copy_(linear.bias)
    expected = second(nn.functional.gelu(encoder.patches(given))).flatten(2).transpose(1, 2)
    features = encoder(given)
    assert features.grid == CONFIG.grid((12, 18)) == (2, 3)
    torch.testing.assert_close(linear(features.tokens), expected)


def test_padding_reads_as_if_the_image_came_alone():
    encoder, given = CONFIG.build(), images()
    alone = encoder(given[1:, :, :5, :7])
    valid = torch.ones(2, *SIZE, dtype=torch.bool)
    valid[1, 5:], valid[1, :, 7:] = False, False
    together = encoder(given, valid)
    assert together.grid == CONFIG.grid(SIZE) == (2, 3)
    assert together.valid.sum(1).tolist() == [6, 2]
    torch.testing.assert_close(together.tokens[1][together.valid[1]], alone.tokens[0])


def test_its_bill_agrees_with_the_operator_counter():
    encoder, given = CONFIG.build(), images(1)
    counted = sum(line.macs for line in CONFIG.work(SIZE))
    assert counted == operator_macs(lambda: encoder(given))

"""Two encoders of one picture, joined along the channels."""

from dataclasses import replace

import pytest
import torch
from tests.operator_count import operator_macs

from chiasm.encoders import ChannelConcat, VisionTransformer

FIRST = VisionTransformer(patch=8, width=20, depth=1, heads=4, ff_width=31)
SECOND = VisionTransformer(patch=8, width=12, depth=2, heads=2, ff_width=17)
GIVEN = ((0.5, 0.4, 0.3), (0.2, 0.5, 0.25))
OTHER = ((0.1, 0.2, 0.3), (0.5, 0.25, 0.1))
ANSWER = ChannelConcat(parts=(FIRST, SECOND), given=GIVEN, moments=(GIVEN, OTHER))


def test_each_token_holds_both_encoders_features_of_pixels_normalised_their_way() -> None:
    encoder = ANSWER.build().eval()
    colours = torch.rand(2, 3, 24, 40)

    def normalised(moments):
        mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in moments)
        return (colours - mean) / deviation

    seen = encoder(normalised(GIVEN))
    assert seen.grid == ANSWER.grid((24, 40)) == (3, 5)
    assert seen.tokens.shape == (2, 15, ANSWER.width) and ANSWER.width == 32
    torch.testing.assert_close(seen.tokens[..., :20], encoder.parts[0](normalised(GIVEN)).tokens)
    second = encoder.parts[1](normalised(OTHER)).tokens
    torch.testing.assert_close(seen.tokens[..., 20:], second, atol=1e-5, rtol=1e-5)


def test_padding_is_what_both_call_padding() -> None:
    encoder, valid = ANSWER.build().eval(), torch.ones(2, 24, 40, dtype=torch.bool)
    valid[1, :, 16:] = False
    seen = encoder(torch.randn(2, 3, 24, 40), valid)
    assert torch.equal(seen.valid, encoder.parts[0](torch.randn(2, 3, 24, 40), valid).valid)
    assert not bool(seen.valid.all())


def test_work_is_the_sum() -> None:
    encoder, image = ANSWER.build().eval(), torch.randn(1, 3, 24, 40)
    counted = operator_macs(lambda: encoder(image))
    assert sum(w.macs for w in ANSWER.work((24, 40))) == pytest.approx(counted, rel=0.01)


def test_misuse_is_named() -> None:
    coarse = replace(ANSWER, parts=(FIRST, replace(SECOND, patch=4)))
    with pytest.raises(ValueError, match=r"grids \[\(3, 5\), \(6, 10\)\] for 24 x 40"):
        coarse.grid((24, 40))
    with pytest.raises(ValueError, match="1 moments given for 2 encoders"):
        replace(ANSWER, moments=(GIVEN,))

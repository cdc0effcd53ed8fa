"""Raw patches: their pixels, their order, what is left out."""

import pytest
import torch

from chiasm.encoders import RawPatches
from chiasm.errors import Misuse

ANSWER = RawPatches(patch=5)


@pytest.mark.parametrize("size", [(15, 20), (17, 23), (5, 9)])
def test_tokens_are_the_pixels_of_whole_patches(size: tuple[int, int]) -> None:
    images = torch.randn(2, 3, *size)
    features = ANSWER.build()(images)
    rows, columns = ANSWER.grid(size)
    assert features.grid == (rows, columns)
    assert features.tokens.shape == (2, rows * columns, ANSWER.width) and not ANSWER.work(size)
    for row in range(rows):
        for column in range(columns):
            cell = images[:, :, 5 * row : 5 * row + 5, 5 * column : 5 * column + 5]
            assert torch.equal(features.tokens[:, row * columns + column], cell.flatten(1))


def test_a_patch_is_valid_when_all_of_it_is() -> None:
    images, valid = torch.randn(2, 3, 15, 20), torch.ones(2, 15, 20, dtype=torch.bool)
    valid[1, 11:], valid[1, :, 17:] = False, False
    together = ANSWER.build()(images, valid)
    alone = ANSWER.build()(images[1:, :, :11, :17])
    assert together.valid is not None and together.valid[0].all()
    assert torch.equal(together.tokens[1, together.valid[1]], alone.tokens[0])


def test_an_image_without_a_whole_patch_is_refused() -> None:
    with pytest.raises(Misuse, match="4 x 9 pixels hold no patch of 5"):
        ANSWER.grid((4, 9))

"""Patches as rows: the map is a convolution, places are stretched, padding changes nothing."""

from dataclasses import replace

import pytest
import torch
from tests.operator_count import operator_macs

from chiasm.connectors import PatchEmbedding
from chiasm.encoders import RawPatches
from chiasm.stream import Features

PATCHES = RawPatches(patch=5)
PLAIN = PatchEmbedding(side=(3, 4), class_token=False, initial_std=1.0)
SIZES = {
    "alone": PLAIN,
    "with a class token": replace(PLAIN, class_token=True),
    "with learned rows": replace(PLAIN, class_token=True, learned=3),
}
each = pytest.mark.parametrize("name", SIZES)


@each
@pytest.mark.parametrize("size", [(15, 20), (25, 35), (17, 23), (5, 5)])
def test_count_and_work_equal_what_runs(name: str, size: tuple[int, int]) -> None:
    answer = SIZES[name]
    module = answer.build(PATCHES.width, 7)
    features = PATCHES.build()(torch.randn(2, 3, *size))
    assert module.connect(features).embeddings.shape == (2, answer.count(features.grid), 7)
    counted = operator_macs(lambda: module.connect(features))
    macs = sum(w.macs for w in answer.work(features.grid, PATCHES.width, 7))
    assert 2 * macs == pytest.approx(counted, rel=0.01)


def test_the_map_is_the_convolution_of_the_image() -> None:
    module, images = PLAIN.build(PATCHES.width, 7), torch.randn(2, 3, 15, 20)
    tokens = module.connect(PATCHES.build()(images)).embeddings
    maps = module.projection(images).flatten(2).transpose(1, 2)
    torch.testing.assert_close(tokens, maps + module.places)


@each
def test_a_padded_image_is_the_image_alone(name: str) -> None:
    module = SIZES[name].build(PATCHES.width, 7)
    images, valid = torch.randn(2, 3, 15, 25), torch.ones(2, 15, 25, dtype=torch.bool)
    valid[1, 10:], valid[1, :, 20:] = False, False
    together = module.connect(PATCHES.build()(images, valid))
    alone = module.connect(PATCHES.build()(images[1:, :, :10, :20]))
    assert together.valid is not None
    torch.testing.assert_close(together.embeddings[1, together.valid[1]], alone.embeddings[0])


def test_places_are_stretched_corner_on_corner() -> None:
    module = PLAIN.build(PATCHES.width, 7)
    torch.nn.init.zeros_(module.projection.bias)

    def rows(height: int, width: int) -> torch.Tensor:
        features = PATCHES.build()(torch.zeros(1, 3, 5 * height, 5 * width))
        return module.connect(features).embeddings.unflatten(1, (height, width))[0]

    native, larger = rows(3, 4), rows(5, 7)
    torch.testing.assert_close(native, module.places.unflatten(1, (3, 4))[0])
    for row, of in ((0, 0), (2, 1), (4, 2)):
        for column, place in ((0, 0), (2, 1), (6, 3)):
            torch.testing.assert_close(larger[row, column], native[of, place])
    torch.testing.assert_close(larger[0, 1], (native[0, 0] + native[0, 1]) / 2)


def test_learned_rows_know_of_no_image() -> None:
    module = SIZES["with learned rows"].build(PATCHES.width, 7)
    one, other = (
        module.connect(PATCHES.build()(torch.randn(1, 3, 15, 20))).embeddings for _ in range(2)
    )
    assert torch.equal(one[:, -3:], other[:, -3:]) and not torch.equal(one, other)


def test_other_features_are_mapped_too() -> None:
    module = PLAIN.build(20, 7)
    tokens = torch.randn(2, 12, 20)
    found = module.connect(Features(tokens, (3, 4))).embeddings
    wanted = tokens @ module.projection.weight.flatten(1).T + module.projection.bias
    torch.testing.assert_close(found, wanted + module.places)

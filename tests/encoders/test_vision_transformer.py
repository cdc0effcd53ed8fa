"""The vision transformer from scratch: geometry, bill, padding."""

import pytest
import torch
from tests.operator_count import operator_macs

from chiasm.encoders import VisionTransformer

SIZES = {
    "patches": VisionTransformer(patch=5, width=21, depth=2, heads=3, ff_width=31),
    "stem": VisionTransformer(patch=8, width=20, depth=2, heads=5, ff_width=13, stem=(3, 7, 11)),
    "class": VisionTransformer(patch=5, width=21, depth=2, heads=3, ff_width=31, class_token=True),
    "short stem": VisionTransformer(patch=2, width=15, depth=1, heads=3, ff_width=7, stem=(5,)),
}
each = pytest.mark.parametrize("name", SIZES)
sizes = pytest.mark.parametrize("size", [(40, 40), (24, 40), (23, 41), (1, 9)])


@each
@sizes
def test_geometry_and_work_equal_what_runs(name: str, size: tuple[int, int]) -> None:
    answer = SIZES[name]
    encoder = answer.build().eval()
    rows, columns = answer.grid(size)
    image = torch.randn(1, 3, *size)
    features = encoder(image)
    assert features.grid == (rows, columns) == answer.grid(size)
    assert features.tokens.shape == (1, rows * columns, answer.width)
    counted = operator_macs(lambda: encoder(image))
    assert sum(w.macs for w in answer.work(size)) == pytest.approx(counted, rel=0.01)


@each
@pytest.mark.parametrize("shape", [(16, 24), (17, 23), (9, 40)])
def test_a_padded_image_is_the_image_alone(name: str, shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    encoder = SIZES[name].build()
    for _ in range(3):  # move the running statistics away from their start
        encoder(torch.randn(4, 3, 40, 40) * 2 + 1)
    encoder.eval()
    images, valid = torch.randn(2, 3, 40, 40), torch.ones(2, 40, 40, dtype=torch.bool)
    valid[1, shape[0] :], valid[1, :, shape[1] :] = False, False
    images = images * valid.unsqueeze(1)
    together = encoder(images, valid)
    alone = encoder(images[1:, :, : shape[0], : shape[1]])
    assert together.valid is not None
    assert int(together.valid[1].sum()) == alone.tokens.shape[1]
    torch.testing.assert_close(
        together.tokens[1, together.valid[1]], alone.tokens[0], atol=1e-5, rtol=1e-5
    )
    torch.testing.assert_close(
        together.tokens[:1], encoder(images[:1]).tokens, atol=1e-5, rtol=1e-5
    )


@each
def test_a_full_mask_changes_nothing(name: str) -> None:
    encoder = SIZES[name].build().eval()
    images = torch.randn(2, 3, 23, 41)
    valid = torch.ones(2, 23, 41, dtype=torch.bool)
    torch.testing.assert_close(
        encoder(images, valid).tokens, encoder(images).tokens, atol=1e-6, rtol=1e-6
    )


@each
def test_places_matter(name: str) -> None:
    """Equal patches at different places become different tokens."""
    encoder = SIZES[name].build().eval()
    tokens = encoder(torch.zeros(1, 3, 40, 40)).tokens[0]
    assert torch.pdist(tokens).min() > 1e-3


def test_every_parameter_learns() -> None:
    encoder = SIZES["stem"].build()
    tokens = encoder(torch.randn(2, 3, 24, 40)).tokens
    (tokens * torch.randn_like(tokens)).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in encoder.parameters())


def test_a_stem_must_make_the_patches_it_says() -> None:
    with pytest.raises(ValueError, match="2 convolutions of stride 2 make patches of 4 pixels"):
        VisionTransformer(patch=8, width=8, depth=1, heads=1, ff_width=8, stem=(3, 3))


def test_a_class_token_comes_first_and_stands_nowhere() -> None:
    """It starts the same in every picture, and reads all of its patches."""
    encoder = SIZES["class"].build().eval()
    images = torch.randn(2, 3, 25, 40, requires_grad=True)
    features = encoder(images)
    assert features.tokens.shape == (2, 1 + 5 * 8, 21) and features.grid == (1, 41)
    assert torch.equal(features.taps[0][0, 0], encoder.first)
    assert torch.equal(features.taps[0][1, 0], encoder.first)
    [gradient] = torch.autograd.grad(features.tokens[1, 0].square().sum(), images)
    assert not gradient[0].any()
    patches = gradient[1].abs().sum(0).unfold(0, 5, 5).unfold(1, 5, 5).flatten(2).sum(-1)
    assert bool((patches > 0).all())

"""The rotary vision transformer: transformers' Pixtral, and what follows from its positions."""

import pytest
import torch
from tests.operator_count import operator_macs
from transformers import PixtralVisionConfig, PixtralVisionModel

from chiasm.encoders import RotaryViT
from chiasm.encoders.rotary_vit import two_axes
from chiasm.errors import Misuse
from chiasm.layers import rotate

SIZES = [
    RotaryViT(patch=3, hidden=18, depth=3, heads=3, ff_width=29, taps=(0, 1, 2, 3)),
    RotaryViT(patch=5, hidden=40, depth=2, heads=5, ff_width=17, theta=100.0, taps=(-2,)),
    RotaryViT(patch=2, hidden=20, depth=3, heads=2, ff_width=13, activation="gelu"),
]


def reference(answer: RotaryViT) -> PixtralVisionModel:
    config = PixtralVisionConfig(
        hidden_size=answer.hidden,
        intermediate_size=answer.ff_width,
        num_hidden_layers=answer.depth,
        num_attention_heads=answer.heads,
        patch_size=answer.patch,
        hidden_act=answer.activation,
        rope_parameters={"rope_type": "axial", "rope_theta": answer.theta},
    )
    model = PixtralVisionModel(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


@pytest.mark.parametrize("answer", SIZES, ids=str)
def test_every_tap_of_packed_images_equals_transformers(answer: RotaryViT) -> None:
    torch.manual_seed(0)
    theirs, mine = reference(answer), answer.build()
    state = {name.removeprefix("transformer."): t for name, t in theirs.state_dict().items()}
    mine.load_state_dict(state)
    sizes = [(13, 17), (10, 11), (17, 10)]
    images = torch.randn(3, 3, 17, 17)
    valid = torch.zeros(3, 17, 17, dtype=torch.bool)
    for image, (height, width) in zip(valid, sizes, strict=True):
        image[:height, :width] = True
    with torch.no_grad():
        wanted = theirs(images, image_sizes=sizes, output_hidden_states=True).hidden_states
        features = mine(images, valid)
    assert features.valid is not None
    counts = [rows * columns for rows, columns in map(answer.grid, sizes)]
    assert features.valid.sum(1).tolist() == counts
    for tap, place in zip(features.taps, answer.places, strict=True):
        torch.testing.assert_close(tap[features.valid], wanted[place][0], atol=1e-4, rtol=1e-4)


def test_only_differences_of_places_count() -> None:
    """A constant added to all rows, or to all columns, leaves the products as they are."""
    rotary = two_axes(10, 100.0)
    places = torch.rand(1, 7, 2) * 5
    q, k = torch.randn(2, 1, 1, 7, 10)

    def products(moved: torch.Tensor) -> torch.Tensor:
        tables = rotary(moved)
        return rotate(q, tables) @ rotate(k, tables).transpose(-1, -2)

    for shift in ([3.0, 0.0], [0.0, -2.0]):
        found = products(places + torch.tensor(shift))
        torch.testing.assert_close(found, products(places), atol=1e-5, rtol=1e-5)
    assert (products(places.flip(-1)) - products(places)).abs().max() > 1e-3


def test_counts_and_work() -> None:
    pixtral = RotaryViT(patch=16, hidden=1024, depth=24, heads=16, ff_width=4096)
    assert pixtral.grid((1024, 1024)) == (64, 64) and pixtral.grid((527, 256)) == (32, 16)
    answer = SIZES[2]
    encoder, images = answer.build(), torch.randn(1, 3, 6, 11)
    counted = operator_macs(lambda: encoder(images))
    assert sum(work.macs for work in answer.work((6, 11))) == counted


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(Misuse, match="18 hidden units over 6 heads leave no even head width"):
        RotaryViT(patch=3, hidden=18, depth=3, heads=6, ff_width=29)
    with pytest.raises(Misuse, match="of a model of 3 layers"):
        RotaryViT(patch=3, hidden=18, depth=3, heads=3, ff_width=29, taps=(4,))

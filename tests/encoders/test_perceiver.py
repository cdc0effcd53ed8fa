"""Perceiver: permutations, sharing, cost, padding, and what re-attending adds."""

from dataclasses import replace

import pytest
import torch
from tests.operator_count import operator_macs
from torch import Tensor

from chiasm.encoders import LatentStack, Perceiver
from chiasm.encoders.fourier import fourier_features
from chiasm.encoders.perceiver import byte_array

STACK = LatentStack(
    latents=7,
    width=12,
    depth=2,
    repeats=3,
    heads=3,
    ff_multiple=2,
    cross_ff_multiple=3,
    cross_key_width=10,
    cross_value_width=14,
    cross_heads=2,
    initial_std=1.0,
)
ONCE = Perceiver(stack=STACK, bands=5, resolution=(11, 13))
AGAIN = replace(ONCE, stack=replace(STACK, attends=3))
both = pytest.mark.parametrize("answer", [ONCE, AGAIN], ids=["once", "re-attending"])


def parameters(answer: Perceiver) -> int:
    return sum(p.numel() for p in answer.build().parameters())


@both
@pytest.mark.parametrize("size", [(11, 13), (5, 17), (1, 3)])
def test_geometry_and_work_equal_what_runs(answer: Perceiver, size: tuple[int, int]) -> None:
    encoder, image = answer.build().eval(), torch.randn(1, 3, *size)
    features = encoder(image)
    assert features.grid == answer.grid(size) == (1, 7)
    assert features.tokens.shape == (1, 7, answer.width)
    counted = operator_macs(lambda: encoder(image))
    assert sum(w.macs for w in answer.work(size)) == pytest.approx(counted, rel=0.01)


@both
def test_cost_is_linear_in_the_number_of_elements(answer: Perceiver) -> None:
    def macs(elements: int) -> int:
        return sum(w.macs for w in answer.work((1, elements)))

    assert macs(3000) - macs(2000) == macs(2000) - macs(1000) > 0


@both
def test_a_joint_permutation_of_values_and_places_changes_nothing(answer: Perceiver) -> None:
    torch.manual_seed(0)
    encoder = answer.build().eval()
    array = byte_array(torch.randn(2, 3, 11, 13), answer)
    order = torch.randperm(array.shape[1])
    torch.testing.assert_close(
        encoder.stack(array[:, order]), encoder.stack(array), atol=1e-5, rtol=1e-5
    )
    moved = torch.cat([array[:, order, :3], array[..., 3:]], dim=-1)
    assert (encoder.stack(moved) - encoder.stack(array)).abs().max() > 1e-3


def test_parameters_do_not_grow_with_repeats_or_with_the_image() -> None:
    assert parameters(ONCE) == parameters(replace(ONCE, stack=replace(STACK, repeats=8)))
    assert parameters(ONCE) == parameters(replace(ONCE, resolution=(224, 224)))
    again = replace(ONCE, stack=replace(STACK, repeats=8, attends=8))
    assert parameters(again) == parameters(replace(again, stack=replace(again.stack, attends=2)))
    read = sum(p.numel() for p in ONCE.build().stack.reads.parameters())
    assert parameters(again) == parameters(ONCE) + read


def test_the_published_sizes() -> None:
    paper = Perceiver(
        stack=LatentStack(latents=512, width=1024, depth=6, repeats=8, heads=8, attends=8)
    )
    assert paper.element_width == 261
    reads = [w for w in paper.work((224, 224)) if w.name == "read attention"]
    assert len(reads) == 8 and reads[0].macs == 2 * 50_176 * 512 * 261
    assert sum(w.name == "latent attention" for w in paper.work((224, 224))) == 48


def slowly(encoder: torch.nn.Module, array: Tensor, config: LatentStack) -> Tensor:
    """The equations, one line each."""

    def read(layer: torch.nn.Module, z: Tensor, x: Tensor | None) -> Tensor:
        normed = layer.norm_latents(z)
        source = normed if x is None else layer.norm_array(x)
        q, k, v = layer.query(normed), layer.key(source), layer.value(source)
        heads = []
        for one in range(layer.heads):
            cut = [part.chunk(layer.heads, -1)[one] for part in (q, k, v)]
            scores = cut[0] @ cut[1].transpose(1, 2) / cut[0].shape[-1] ** 0.5
            heads.append(scores.softmax(-1) @ cut[2])
        z = z + layer.output(torch.cat(heads, -1))
        return z + layer.contract(torch.nn.functional.gelu(layer.expand(layer.norm(z))))

    z = encoder.latents.expand(len(array), -1, -1)
    for run in range(config.repeats):
        if run < config.attends:
            z = read(encoder.reads[0 if run == 0 else 1], z, array)
        for layer in encoder.block:
            z = read(layer, z, None)
    return z


@both
def test_the_stack_equals_its_equations_in_values_and_gradients(answer: Perceiver) -> None:
    torch.manual_seed(1)
    stack, array = answer.build().stack, torch.randn(2, 23, answer.element_width)
    weights = torch.randn(2, 7, 12)
    found = stack(array)
    (found * weights).sum().backward()
    gradients = [p.grad.clone() for p in stack.parameters() if p.grad is not None]
    assert len(gradients) == len(list(stack.parameters()))
    stack.zero_grad()
    wanted = slowly(stack, array, answer.stack)
    (wanted * weights).sum().backward()
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    for got, parameter in zip(gradients, stack.parameters(), strict=True):
        torch.testing.assert_close(got, parameter.grad, atol=1e-4, rtol=1e-4)


@both
@pytest.mark.parametrize("shape", [(7, 13), (11, 5), (1, 1)])
def test_a_padded_image_is_the_image_alone(answer: Perceiver, shape: tuple[int, int]) -> None:
    torch.manual_seed(2)
    encoder = answer.build().eval()
    images, valid = torch.randn(2, 3, 11, 13), torch.ones(2, 11, 13, dtype=torch.bool)
    valid[1, shape[0] :], valid[1, :, shape[1] :] = False, False
    together = encoder(images, valid).tokens
    alone = encoder(images[1:, :, : shape[0], : shape[1]]).tokens
    torch.testing.assert_close(together[1:], alone, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(together[:1], encoder(images[:1]).tokens, atol=1e-5, rtol=1e-5)


def test_a_later_read_is_a_second_look() -> None:
    """With the first read closed, a latent that reads again still knows the image."""
    torch.manual_seed(3)
    images = torch.randn(2, 3, 11, 13)
    for answer, seen in ((ONCE, False), (AGAIN, True)):
        encoder = answer.build().eval()
        torch.nn.init.zeros_(encoder.stack.reads[0].output.weight)
        first, second = encoder(images).tokens
        assert bool((first - second).abs().max() > 1e-3) is seen


def test_features_of_places() -> None:
    features = fourier_features((3, 2), 2, (8, 6))
    assert features.shape == (6, 10)
    torch.testing.assert_close(features[1, :2], torch.tensor([-1.0, 1.0]))
    torch.testing.assert_close(features[2, :2], torch.tensor([0.0, -1.0]))
    at_centre = features[2]
    sines, cosines = at_centre[2:6], at_centre[6:]
    assert sines[:2].abs().max() < 1e-6 and (cosines[:2] - 1).abs().max() < 1e-6
    # x = -1 with frequencies 1 and 3: cos(-pi) = cos(-3 pi) = -1.
    assert (cosines[2:] + 1).abs().max() < 1e-5


def test_more_reads_than_runs_are_refused() -> None:
    with pytest.raises(ValueError, match=r"4 reads of the array .* there are 3"):
        replace(STACK, attends=4)
    with pytest.raises(ValueError, match="keys of width 10 cannot be cut into 3 heads"):
        replace(STACK, cross_heads=3).build(5)

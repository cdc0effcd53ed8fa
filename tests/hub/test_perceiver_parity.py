"""Perceiver folders: transformers' own latents and classes, for random sizes."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tests.hub.cases import CLOSE, masks, one_line, saved
from transformers.models.perceiver.modeling_perceiver import (
    PerceiverFourierPositionEncoding,
    PerceiverImagePreprocessor,
    PerceiverTextPreprocessor,
)

import chiasm
from chiasm.errors import ChiasmError

pytestmark = pytest.mark.evidence(slug="perceiver", grade="matches")


def config(seed: int, **changes: Any) -> Any:
    """Random tiny sizes: heads, widths of keys and values, runs, activations."""
    draw = random.Random(seed)
    heads, cross = draw.choice([1, 2, 3]), draw.choice([1, 2])
    width = 6 * draw.choice([3, 5, 7])
    sizes: dict[str, Any] = dict(
        num_latents=draw.choice([5, 7, 11]),
        d_latents=width,
        d_model=2 * draw.choice([5, 7, 13]),
        num_blocks=draw.choice([1, 2, 3]),
        num_self_attends_per_block=draw.choice([1, 2]),
        num_self_attention_heads=heads,
        num_cross_attention_heads=cross,
        qk_channels=draw.choice([None, 12]),
        v_channels=draw.choice([None, width]),
        cross_attention_shape_for_attention=draw.choice(["q", "kv"]),
        self_attention_widening_factor=draw.choice([1, 2]),
        cross_attention_widening_factor=draw.choice([1, 3]),
        hidden_act=draw.choice(["gelu", "relu"]),
        use_query_residual=draw.choice([True, False]),
        vocab_size=53,
        max_position_embeddings=17,
        num_labels=3,
    )
    if sizes["qk_channels"] is not None:
        sizes["v_channels"] = width
    return transformers.PerceiverConfig(**{**sizes, **changes})


@torch.no_grad()
def check(theirs: Any, ours: Any, given: dict[str, Any]) -> None:
    wanted, found = theirs(**given), ours(**given)
    for name in ("last_hidden_state", "logits"):
        value = getattr(wanted, name, None)
        if value is not None:
            torch.testing.assert_close(getattr(found, name), value, **CLOSE)


@pytest.mark.parametrize("seed", range(6))
def test_bare(seed: int, tmp_path: Path) -> None:
    made = config(seed)
    theirs = saved(transformers.PerceiverModel(made), tmp_path, seed)
    ours = chiasm.load(str(tmp_path))
    array = torch.randn(3, 13, made.d_model, generator=torch.Generator().manual_seed(seed))
    check(theirs, ours, {"inputs": array})
    for _, mask in masks(3, 13):
        check(theirs, ours, {"inputs": array, "attention_mask": mask})
    check(theirs, ours, {"inputs": array[:1, :1]})


@pytest.mark.parametrize("seed", range(2))
def test_words_in_front(seed: int, tmp_path: Path) -> None:
    made = config(seed)
    model = transformers.PerceiverModel(made, input_preprocessor=PerceiverTextPreprocessor(made))
    theirs = saved(model, tmp_path, seed)
    ids = torch.randint(0, 53, (3, 11), generator=torch.Generator().manual_seed(seed))
    for _, mask in masks(3, 11):
        check(theirs, chiasm.load(str(tmp_path)), {"inputs": ids, "attention_mask": mask})


@pytest.mark.parametrize("size", [(7, 7), (5, 11)])
@pytest.mark.parametrize("seed", range(2))
def test_pixels_in_front(seed: int, size: tuple[int, int], tmp_path: Path) -> None:
    made = config(seed, qk_channels=None, v_channels=None, num_cross_attention_heads=1)
    front = PerceiverImagePreprocessor(
        made,
        prep_type="pixels",
        spatial_downsample=1,
        fourier_position_encoding_kwargs=dict(num_bands=64, max_resolution=(224, 224)),
    )
    assert isinstance(front.position_embeddings, PerceiverFourierPositionEncoding)
    theirs = saved(transformers.PerceiverModel(made, input_preprocessor=front), tmp_path, seed)
    pixels = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(seed))
    check(theirs, chiasm.load(str(tmp_path)), {"inputs": pixels})


@pytest.mark.parametrize("seed", range(3))
def test_image_classifier(seed: int, tmp_path: Path) -> None:
    made = config(seed, qk_channels=None, v_channels=None, num_cross_attention_heads=1)
    theirs = saved(transformers.PerceiverForImageClassificationFourier(made), tmp_path, seed)
    ours = chiasm.load(str(tmp_path))
    pixels = torch.randn(2, 3, 9, 13, generator=torch.Generator().manual_seed(seed))
    check(theirs, ours, {"pixel_values": pixels})
    assert ours(pixel_values=pixels).logits.shape == (2, 3)


def test_what_cannot_be_read_is_refused_in_one_line(tmp_path: Path) -> None:
    made = config(0)
    saved(transformers.PerceiverModel(made), tmp_path)
    ours: Any = chiasm.load(str(tmp_path))
    for inputs, said in (
        (torch.zeros(1, 3, 5, 5), "261"),
        (torch.zeros(1, 5, made.d_model + 1), f"{made.d_model + 1} wide"),
    ):
        with pytest.raises(ChiasmError) as error:
            ours(inputs=inputs)
        assert said in one_line(error) and str(made.d_model) in one_line(error)
    other = config(0, d_model=16)
    saved(transformers.PerceiverForMaskedLM(other), tmp_path)
    with pytest.raises(ChiasmError) as error:
        chiasm.load(str(tmp_path))
    assert "'PerceiverForMaskedLM' is not read" in one_line(error)

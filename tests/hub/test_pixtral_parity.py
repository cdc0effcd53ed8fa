"""LLaVA with Pixtral's tower at native sizes: the same numbers as transformers."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tests.hub.cases import (
    CLOSE,
    IMAGE,
    one_line,
    prompt,
    saved,
    scores,
    text_config,
    tower_sizes,
)
from tests.hub.composites import check_everything, check_export, noise

import chiasm
from chiasm.errors import ChiasmError
from chiasm.hub.formats import opened

pytestmark = pytest.mark.evidence(slug="pixtral", grade="matches")

BREAK, END = 7, 8
"""Words between and after an image's rows of tokens."""
PATCH = 3
# (layers read, text family, theta)
CASES = [(-1, "mistral", 1e4), ([-2, 1], "llama", 1e2), ([0, 2], "qwen2", 1e4), ([3], "qwen3", 5e3)]
SIZES = [[(9, 12)], [(12, 6), (5, 17)], []]
"""Heights and widths of each sample's images, some with a part of a patch at the edge."""


def config_of(seed: int) -> Any:
    layers, family, theta = CASES[seed]
    sizes = tower_sizes(seed) | {"image_size": 40, "patch_size": PATCH}
    return transformers.LlavaConfig(
        vision_config=transformers.PixtralVisionConfig(
            **sizes,
            hidden_act=["gelu", "silu"][seed % 2],
            rope_parameters={"rope_type": "axial", "rope_theta": theta},
        ),
        text_config=text_config(family, seed),
        image_token_index=IMAGE,
        vision_feature_layer=layers,
        vision_feature_select_strategy="full",
        multimodal_projector_bias=seed % 2 == 0,
    )


def given(config: Any, seed: int = 0) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Rows of image tokens with a word after each; padded pixels hold noise that nobody reads."""
    ids = prompt(config.text_config.vocab_size, rows=36, seed=seed)
    for sample, images in enumerate(SIZES):
        written: list[int] = []
        for height, width in images:
            rows, columns = height // PATCH, width // PATCH
            written += ([IMAGE] * columns + [BREAK]) * rows
            written[-1] = END
        ids[sample, 4 : 4 + len(written)] = torch.tensor(written)
    flat = [size for images in SIZES for size in images]
    media, other = (
        {"pixel_values": noise(3, 3, 12, 18, seed=s), "image_sizes": torch.tensor(flat)}
        for s in (seed, seed + 9)
    )
    return ids, media, other


@pytest.mark.parametrize("seed", range(len(CASES)))
def test_logits_cache_and_generation(seed: int, tmp_path: Path) -> None:
    model = transformers.LlavaForConditionalGeneration(config_of(seed))
    theirs = saved(model, tmp_path, seed)
    check_everything(chiasm.load(str(tmp_path)), theirs, *given(theirs.config, seed))


@pytest.mark.parametrize("seed", range(2))
def test_export(seed: int, tmp_path: Path) -> None:
    model = transformers.LlavaForConditionalGeneration(config_of(seed))
    theirs = saved(model, tmp_path / "first", seed)
    ids, media, _ = given(theirs.config)
    auto = transformers.AutoModelForImageTextToText
    again = check_export(theirs, auto, tmp_path, ids, media)
    assert again.config.vision_config.image_size == 40


def test_one_by_one_equals_padded_together(tmp_path: Path) -> None:
    theirs = saved(transformers.LlavaForConditionalGeneration(config_of(0)), tmp_path)
    ours, (ids, media, _) = chiasm.load(str(tmp_path)), given(theirs.config)
    height, width = SIZES[0][0]
    alone = media["pixel_values"][:1, :, :height, :width]
    torch.testing.assert_close(
        scores(ours, input_ids=ids[:1], pixel_values=alone),
        scores(ours, input_ids=ids, **media)[:1],
        **CLOSE,
    )


@pytest.mark.parametrize("seed", range(len(CASES)))
def test_the_tower_alone(seed: int, tmp_path: Path) -> None:
    tower = transformers.PixtralVisionModel(config_of(seed).vision_config)
    theirs, ours = saved(tower, tmp_path, seed), chiasm.load(str(tmp_path))
    _, media, _ = given(config_of(seed))
    for told in (media, {"pixel_values": media["pixel_values"]}):
        with torch.no_grad():
            wanted = theirs(**told, output_hidden_states=True)
            found = ours(**told, output_hidden_states=True)
        torch.testing.assert_close(found.last_hidden_state, wanted.last_hidden_state, **CLOSE)
        for mine, his in zip(found.hidden_states, wanted.hidden_states, strict=True):
            torch.testing.assert_close(mine, his, **CLOSE)


def test_sizes_that_do_not_fit_are_named(tmp_path: Path) -> None:
    theirs = saved(transformers.LlavaForConditionalGeneration(config_of(0)), tmp_path)
    ours, (ids, media, _) = chiasm.load(str(tmp_path)), given(theirs.config)
    for sizes, said in (
        (media["image_sizes"] + 7, "16 x 19, the pixels are 12 x 18"),
        (media["image_sizes"][:2], "(2, 2) for 3 images"),
        (media["image_sizes"] - 3, "25 image tokens stand for 10 features"),
    ):
        with pytest.raises(ChiasmError) as error:
            ours(input_ids=ids, pixel_values=media["pixel_values"], image_sizes=sizes)
        assert said in one_line(error)


@pytest.mark.parametrize(
    ("part", "change", "said"),
    [
        ("", {"vision_feature_select_strategy": "default"}, "'default' would cut a token"),
        ("vision", {"attention_dropout": 0.5}, "attention_dropout = 0.5"),
        ("vision", {"patch_size": (3, 3)}, "patch_size = (3, 3)"),
        ("vision", {"num_channels": 4}, "num_channels = 4"),
    ],
)
def test_what_is_not_run_is_refused(part: str, change: dict[str, Any], said: str) -> None:
    config = config_of(0)
    for name, value in change.items():
        setattr(config.vision_config if part else config, name, value)
    with pytest.raises(ChiasmError) as error:
        opened(config)
    assert said in one_line(error)

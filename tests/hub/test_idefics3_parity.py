"""Idefics3 and SmolVLM: tiles, padded patches, shuffled tokens; transformers' numbers."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tests.hub.cases import (
    CLOSE,
    IMAGE,
    PATCH,
    check_logits,
    one_line,
    prompt,
    saved,
    scores,
    show,
    text_config,
    tower_sizes,
)
from tests.hub.composites import check_everything, check_export, check_headless, noise

import chiasm
from chiasm.errors import ChiasmError
from chiasm.hub.formats import opened

COUNTS = [3, 1, 0]
BOTH = [
    pytest.param("Idefics3", marks=pytest.mark.evidence(slug="idefics2", grade="matches")),
    pytest.param("SmolVLM", marks=pytest.mark.evidence(slug="smolvlm", grade="matches")),
]
each_name = pytest.mark.parametrize("name", BOTH)
# (scale factor, patches a side, text family)
CASES = [(2, 4, "llama"), (3, 3, "qwen2"), (3, 6, "mistral"), (1, 2, "llama")]


def config_of(name: str, seed: int) -> Any:
    factor, side, family = CASES[seed]
    text = text_config(family, seed)
    return getattr(transformers, f"{name}Config")(
        vision_config=tower_sizes(seed) | {"image_size": side * PATCH},
        text_config=text,
        image_token_id=IMAGE,
        scale_factor=factor,
        tie_word_embeddings=text.tie_word_embeddings,
    )


def model_of(name: str, seed: int) -> Any:
    return getattr(transformers, f"{name}ForConditionalGeneration")(config_of(name, seed))


def given(
    config: Any, seed: int = 0
) -> tuple[torch.Tensor, dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Whole tiles, tiles with whole and partial patches of padding, and padding tiles."""
    size = config.vision_config.image_size
    each = (size // PATCH // config.scale_factor) ** 2
    ids = show(prompt(config.text_config.vocab_size, rows=29, seed=seed), COUNTS, each)
    mask = torch.ones(3, 3, size, size, dtype=torch.long)
    mask[0, 1, size - PATCH :] = 0
    mask[0, 2, :, size - PATCH // 2 :] = 0
    mask[1, 0, size - PATCH // 2 - PATCH :, size - PATCH :] = 0
    mask[1, 1:], mask[2] = 0, 0
    media, other = (
        {
            "pixel_values": noise(3, 3, 3, size, size, seed=s) * mask.unsqueeze(2),
            "pixel_attention_mask": mask,
        }
        for s in (seed, seed + 9)
    )
    return ids, media, other


@pytest.mark.parametrize("seed", range(len(CASES)))
@each_name
def test_logits_cache_and_generation(name: str, seed: int, tmp_path: Path) -> None:
    theirs = saved(model_of(name, seed), tmp_path, seed)
    check_everything(chiasm.load(str(tmp_path)), theirs, *given(theirs.config, seed))


@each_name
def test_a_mask_that_hides_pixels_is_read(name: str, tmp_path: Path) -> None:
    theirs = saved(model_of(name, 0), tmp_path)
    ours = chiasm.load(str(tmp_path))
    ids, media, _ = given(theirs.config)
    pixels = media["pixel_values"]
    check_logits(ours, theirs, ids, pixel_values=pixels)
    difference = scores(ours, input_ids=ids, pixel_values=pixels) - scores(
        ours, input_ids=ids, **media
    )
    assert difference[0].abs().max() > 1e-2
    torch.testing.assert_close(difference[2], torch.zeros_like(difference[2]), **CLOSE)


@each_name
def test_export(name: str, tmp_path: Path) -> None:
    theirs = saved(model_of(name, 1), tmp_path / "first")
    ids, media, _ = given(theirs.config)
    check_export(theirs, transformers.AutoModelForImageTextToText, tmp_path, ids, media)


@each_name
def test_headless_checkpoint(name: str, tmp_path: Path) -> None:
    theirs = saved(getattr(transformers, f"{name}Model")(config_of(name, 0)), tmp_path)
    ids, media, _ = given(theirs.config)
    check_headless(theirs, tmp_path, ids, media)


def test_a_grid_without_whole_blocks_is_refused() -> None:
    config = config_of("Idefics3", 0)
    config.scale_factor = 3
    with pytest.raises(ChiasmError) as error:
        opened(config)
    assert "4 x 4 tokens" in one_line(error) and "3 x 3" in one_line(error)

"""ViP-LLaVA: levels of several layers, normed, then an MLP; the same numbers as transformers."""

from pathlib import Path
from typing import Any

import pytest
import transformers
from tests.hub.cases import IMAGE, SIDE, prompt, saved, show, text_config, tower_sizes
from tests.hub.composites import check_everything, check_export, check_headless, noise

import chiasm

pytestmark = pytest.mark.evidence(slug="vip-llava", grade="matches")

COUNTS = [1, 2, 0]
# (tower, layers, text family, tokens an image)
CASES = [
    ("clip", [-2, 1, 3], "llama", 9),
    ("clip", -1, "mistral", 9),
    ("clip", [0, -3], "qwen2", 9),
    ("siglip", [2, 1], "qwen3", 8),
]


def config_of(case: tuple[Any, ...], seed: int) -> Any:
    tower, layers, family, _ = case
    vision: Any = (
        transformers.CLIPVisionConfig(**tower_sizes(seed))
        if tower == "clip"
        else transformers.SiglipVisionConfig(**tower_sizes(seed), vision_use_head=False)
    )
    return transformers.VipLlavaConfig(
        vision_config=vision,
        text_config=text_config(family, seed),
        image_token_index=IMAGE,
        vision_feature_layer=layers,
        projector_layernorm_eps=[1e-5, 1e-3][seed % 2],
        projector_hidden_act=["gelu", "relu"][seed % 2],
    )


def given(theirs: Any, each: int, seed: int = 0) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    vocabulary = theirs.config.text_config.vocab_size
    ids = show(prompt(vocabulary, rows=35, seed=seed), COUNTS, each)
    media, other = ({"pixel_values": noise(3, 3, SIDE, SIDE, seed=s)} for s in (seed, seed + 9))
    return ids, media, other


@pytest.mark.parametrize(("seed", "case"), list(enumerate(CASES)))
def test_logits_cache_and_generation(seed: int, case: tuple[Any, ...], tmp_path: Path) -> None:
    model = transformers.VipLlavaForConditionalGeneration(config_of(case, seed))
    theirs = saved(model, tmp_path, seed)
    check_everything(chiasm.load(str(tmp_path)), theirs, *given(theirs, case[-1], seed))


@pytest.mark.parametrize("seed", [0, 1])
def test_export(seed: int, tmp_path: Path) -> None:
    model = transformers.VipLlavaForConditionalGeneration(config_of(CASES[seed], seed))
    theirs = saved(model, tmp_path / "first", seed)
    ids, media, _ = given(theirs, 9)
    auto = transformers.AutoModelForImageTextToText
    again = check_export(theirs, auto, tmp_path, ids, media)
    assert again.config.vision_feature_layer == CASES[seed][1]


def test_headless_checkpoint(tmp_path: Path) -> None:
    theirs = saved(transformers.VipLlavaModel(config_of(CASES[0], 0)), tmp_path)
    ids, media, _ = given(theirs, 9)
    check_headless(theirs, tmp_path, ids, media)

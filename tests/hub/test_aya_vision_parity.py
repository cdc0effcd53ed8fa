"""Aya Vision: blocks of tokens through a SwiGLU; the same numbers as transformers."""

from pathlib import Path
from typing import Any

import pytest
import transformers
from tests.hub.cases import IMAGE, PATCH, one_line, prompt, saved, show, text_config, tower_sizes
from tests.hub.composites import check_everything, check_export, check_headless, noise

import chiasm
from chiasm.errors import ChiasmError
from chiasm.hub.formats import opened

pytestmark = pytest.mark.evidence(slug="aya-vision", grade="matches")

COUNTS = [1, 2, 0]
# (tower, strategy, layer, factor, patches a side, text family)
CASES = [
    ("siglip", "full", -1, 2, 4, "llama"),
    ("clip", "default", -2, 3, 3, "qwen2"),
    ("siglip", "full", 2, 1, 3, "mistral"),
    ("siglip", "full", [-1], 3, 6, "qwen3"),
    ("siglip", "full", -1, 2, 4, "cohere2"),
    ("siglip", "full", -2, 2, 2, "cohere2"),
]


def config_of(case: tuple[Any, ...], seed: int) -> Any:
    tower, strategy, layer, factor, side, family = case
    sizes = tower_sizes(seed) | {"image_size": side * PATCH}
    vision: Any = (
        transformers.CLIPVisionConfig(**sizes)
        if tower == "clip"
        else transformers.SiglipVisionConfig(**sizes, vision_use_head=seed % 2 == 0)
    )
    hidden = {"alignment_intermediate_size": 2 * (7 + seed)}
    text = text_config(family, seed)
    return transformers.AyaVisionConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=IMAGE,
        vision_feature_layer=layer,
        vision_feature_select_strategy=strategy,
        downsample_factor=factor,
        adapter_layer_norm_eps=[1e-6, 1e-3][seed % 2],
        tie_word_embeddings=text.tie_word_embeddings,
        **(hidden if seed or text.hidden_size % 2 else {}),
    )


def given(
    case: tuple[Any, ...], theirs: Any, seed: int = 0
) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    each, size = (case[4] // case[3]) ** 2, case[4] * PATCH
    ids = show(prompt(theirs.config.text_config.vocab_size, rows=35, seed=seed), COUNTS, each)
    media, other = ({"pixel_values": noise(3, 3, size, size, seed=s)} for s in (seed, seed + 9))
    return ids, media, other


@pytest.mark.parametrize(("seed", "case"), list(enumerate(CASES)))
def test_logits_cache_and_generation(seed: int, case: tuple[Any, ...], tmp_path: Path) -> None:
    model = transformers.AyaVisionForConditionalGeneration(config_of(case, seed))
    theirs = saved(model, tmp_path, seed)
    check_everything(chiasm.load(str(tmp_path)), theirs, *given(case, theirs, seed))


@pytest.mark.parametrize("seed", [0, 1, 4])
def test_export(seed: int, tmp_path: Path) -> None:
    case = CASES[seed]
    model = transformers.AyaVisionForConditionalGeneration(config_of(case, seed))
    theirs = saved(model, tmp_path / "first", seed)
    ids, media, _ = given(case, theirs)
    check_export(theirs, transformers.AutoModelForImageTextToText, tmp_path, ids, media)


def test_headless_checkpoint(tmp_path: Path) -> None:
    theirs = saved(transformers.AyaVisionModel(config_of(CASES[0], 0)), tmp_path)
    ids, media, _ = given(CASES[0], theirs)
    check_headless(theirs, tmp_path, ids, media)


@pytest.mark.parametrize(
    ("case", "change", "said"),
    [
        (CASES[0], {"downsample_factor": 3}, "4 x 4 tokens"),
        (CASES[0], {"vision_feature_layer": [-1, -2]}, "names 2 layers"),
        (CASES[0], {"vision_feature_select_strategy": "default"}, "1 x 15 tokens"),
        (CASES[0], {"alignment_intermediate_size": 9}, "alignment_intermediate_size = 9"),
    ],
)
def test_what_is_not_run_is_refused(
    case: tuple[Any, ...], change: dict[str, Any], said: str
) -> None:
    config = config_of(case, 1)
    for name, value in change.items():
        setattr(config, name, value)
    with pytest.raises(ChiasmError) as error:
        opened(config)
    assert said in one_line(error)

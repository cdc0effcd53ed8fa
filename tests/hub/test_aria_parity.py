"""Aria: learned queries and routed experts, padded patches; the same numbers as transformers."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tests.hub.cases import (
    IMAGE,
    PATCH,
    check_logits,
    one_line,
    prompt,
    saved,
    show,
    text_config,
    tower_sizes,
)
from tests.hub.composites import check_everything, check_export, check_headless, noise

import chiasm
from chiasm.errors import ChiasmError
from chiasm.hub.formats import opened

pytestmark = pytest.mark.evidence(slug="aria", grade="matches")

COUNTS = [1, 2, 0]
SIDE = 3
# (queries by patches, experts, of which a row takes, shared, hidden state read)
CASES = [
    ({9: 4, 20: 7}, 5, 2, 2, -1),
    ({20: 3, 9: 5}, 4, 1, 1, -2),
    ({9: 2}, 7, 3, 3, 2),
]


def config_of(seed: int, **changes: Any) -> Any:
    queries, experts, taken, shared, layer = CASES[seed]
    text = text_config("llama", seed).to_dict()
    heads = text["num_attention_heads"]
    text |= {
        "model_type": "aria_text",
        # Widths that transformers' grouped products take.
        "hidden_size": 4 * heads,
        "intermediate_size": 12 + 4 * seed,
        "moe_num_experts": experts,
        "moe_topk": taken,
        "moe_num_shared_experts": shared,
    }
    return transformers.AriaConfig(
        vision_config={
            "model_type": "idefics3_vision",
            **tower_sizes(seed),
            "image_size": SIDE * PATCH,
        },
        text_config=text | changes,
        image_token_index=IMAGE,
        projector_patch_to_query_dict=queries,
        vision_feature_layer=layer,
        tie_word_embeddings=bool(seed % 2),
    )


def given(seed: int) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Images with whole and partial patches of padding."""
    config = config_of(seed)
    size = SIDE * PATCH
    ids = prompt(config.text_config.vocab_size, rows=35, seed=seed)
    ids = show(ids, COUNTS, config.projector_patch_to_query_dict[SIDE**2])
    mask = torch.ones(3, size, size, dtype=torch.long)
    mask[0, :, size - PATCH :] = 0
    mask[2, size - PATCH - 3 :] = 0
    media, other = (
        {"pixel_values": noise(3, 3, size, size, seed=s), "pixel_mask": mask}
        for s in (seed, seed + 9)
    )
    return ids, media, other


@pytest.mark.parametrize("seed", range(len(CASES)))
def test_logits_cache_and_generation(seed: int, tmp_path: Path) -> None:
    model = transformers.AriaForConditionalGeneration(config_of(seed))
    theirs, ids = saved(model, tmp_path, seed), given(seed)[0]
    ours = chiasm.load(str(tmp_path))
    check_everything(ours, theirs, *given(seed))
    check_logits(ours, theirs, ids, pixel_values=given(seed)[1]["pixel_values"])


@pytest.mark.parametrize("seed", [0, 1])
def test_export(seed: int, tmp_path: Path) -> None:
    model = transformers.AriaForConditionalGeneration(config_of(seed))
    theirs = saved(model, tmp_path / "first", seed)
    ids, media, _ = given(seed)
    again = check_export(theirs, transformers.AutoModelForImageTextToText, tmp_path, ids, media)
    assert again.config.projector_patch_to_query_dict == CASES[seed][0]


def test_headless_checkpoint(tmp_path: Path) -> None:
    theirs = saved(transformers.AriaModel(config_of(0)), tmp_path)
    ids, media, _ = given(0)
    check_headless(theirs, tmp_path, ids, media)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hidden_act": "gelu"}, "hidden_act = 'gelu'"),
        ({"moe_num_shared_experts": 0}, "moe_num_shared_experts = 0"),
        ({"moe_topk": 9}, "moe_topk = 9"),
    ],
)
def test_what_is_not_run_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(ChiasmError) as error:
        opened(config_of(0, **change))
    assert said in one_line(error)

"""Qwen2-VL and Qwen2.5-VL: three rotary axes from image grids; transformers' numbers."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tests.hub.cases import (
    CLOSE,
    IMAGE,
    check_logits,
    masks,
    one_line,
    prompt,
    saved,
    scores,
)
from tests.hub.composites import check_everything, check_export, check_headless, noise

import chiasm
from chiasm.errors import ChiasmError
from chiasm.hub.formats import opened
from chiasm.hub.parity import compare

KINDS = ["Qwen2VL", "Qwen2_5_VL"]
each_kind = pytest.mark.parametrize("kind", KINDS)
# (heads, key heads, head width, sections, tied)
SIZES = [(2, 1, 12, [2, 2, 2], False), (3, 3, 10, [1, 3, 1], True), (4, 2, 6, [1, 1, 1], False)]
GRIDS = [(1, 4, 6), (1, 2, 4), (1, 6, 2)]
COUNTS = [1, 2, 0]


def config_of(kind: str, seed: int) -> Any:
    heads, kv_heads, head, sections, tied = SIZES[seed]
    width = heads * head
    vision: dict[str, Any] = dict(depth=2, num_heads=2, patch_size=3)
    if kind == "Qwen2VL":
        vision |= dict(embed_dim=16, hidden_size=width, mlp_ratio=2)
    else:
        vision |= dict(hidden_size=16, out_hidden_size=width, intermediate_size=20)
        vision |= dict(window_size=12, fullatt_block_indexes=[1])
    return getattr(transformers, f"{kind}Config")(
        text_config=dict(
            vocab_size=61,
            hidden_size=width,
            intermediate_size=29,
            num_hidden_layers=3,
            num_attention_heads=heads,
            num_key_value_heads=kv_heads,
            rope_parameters=dict(
                rope_type="default", rope_theta=[1e4, 1e2, 1e6][seed], mrope_section=sections
            ),
            bos_token_id=1,
            eos_token_id=None,
            pad_token_id=0,
        ),
        vision_config=vision,
        image_token_id=IMAGE,
        video_token_id=6,
        vision_start_token_id=7,
        vision_end_token_id=8,
        tie_word_embeddings=tied,
    )


def given(seed: int = 0) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    ids = prompt(61, rows=27, seed=seed)
    ids[ids <= 8] = 11
    images = iter(GRIDS)
    for sample, count in enumerate(COUNTS):
        start = 5
        for _ in range(count):
            _, rows, columns = next(images)
            each = rows * columns // 4
            ids[sample, start : start + each] = IMAGE
            start += each + 1
    patches = sum(rows * columns for _, rows, columns in GRIDS)
    media, other = (
        {
            "pixel_values": noise(patches, 3 * 2 * 9, seed=s),
            "image_grid_thw": torch.tensor(GRIDS),
            "mm_token_type_ids": (ids == IMAGE).long(),
        }
        for s in (seed, seed + 9)
    )
    return ids, media, other


def model_of(kind: str, seed: int) -> Any:
    return getattr(transformers, f"{kind}ForConditionalGeneration")(config_of(kind, seed))


@pytest.mark.parametrize("seed", range(len(SIZES)))
@each_kind
def test_logits_cache_and_generation(kind: str, seed: int, tmp_path: Path) -> None:
    theirs = saved(model_of(kind, seed), tmp_path, seed)
    check_everything(chiasm.load(str(tmp_path)), theirs, *given(seed))


@each_kind
def test_text_alone_and_positions_that_are_told(kind: str, tmp_path: Path) -> None:
    theirs = saved(model_of(kind, 0), tmp_path)
    ours, ids = chiasm.load(str(tmp_path)), prompt(61)
    check_logits(ours, theirs, ids)
    _, mask = next(iter(masks(*ids.shape)))
    told = torch.randint(0, 19, (3, *ids.shape), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        wanted = theirs(input_ids=ids, attention_mask=mask, position_ids=told).logits
    found = scores(ours, input_ids=ids, attention_mask=mask, position_ids=told)
    torch.testing.assert_close(found, wanted, **CLOSE)


@each_kind
def test_the_layers_agree(kind: str, tmp_path: Path) -> None:
    saved(model_of(kind, 1), tmp_path)
    assert compare(tmp_path).first_differing_layer is None


@each_kind
def test_export(kind: str, tmp_path: Path) -> None:
    theirs = saved(model_of(kind, 0), tmp_path / "first")
    ids, media, _ = given()
    check_export(theirs, transformers.AutoModelForImageTextToText, tmp_path, ids, media)


@each_kind
def test_headless_checkpoint(kind: str, tmp_path: Path) -> None:
    theirs = saved(getattr(transformers, f"{kind}Model")(config_of(kind, 0)), tmp_path)
    ids, media, _ = given()
    check_headless(theirs, tmp_path, ids, media)


def test_what_is_not_run_is_refused(tmp_path: Path) -> None:
    config = config_of("Qwen2VL", 0)
    config.text_config.rope_parameters["mrope_section"] = [2, 2, 3]
    with pytest.raises(ChiasmError) as error:
        opened(config)
    assert "mrope_section = (2, 2, 3)" in one_line(error)
    saved(model_of("Qwen2VL", 0), tmp_path)
    ours, (ids, media, _) = chiasm.load(str(tmp_path)), given()
    media["image_grid_thw"] = torch.tensor([(2, 2, 6), *GRIDS[1:]])
    with pytest.raises(ChiasmError) as error:
        ours(input_ids=ids, **media)
    assert "one frame each" in one_line(error)

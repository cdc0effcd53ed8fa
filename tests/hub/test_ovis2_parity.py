"""Ovis2: mixtures of visual words, marks with embeddings of their own; transformers' numbers."""

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
from chiasm.hub import save
from chiasm.hub.formats import opened

pytestmark = pytest.mark.evidence(slug="ovis", grade="matches")

COUNTS = [1, 2, 0]
MARKS = [6, 7, 8]
# (stride, patches a side, choice, text family)
CASES = [
    (1, 3, "softmax", "qwen2"),
    (2, 4, "softmax", "llama"),
    (1, 2, "st_argmax", "mistral"),
    (3, 6, "softmax", "qwen3"),
]


def config_of(seed: int) -> Any:
    stride, side, choice, family = CASES[seed]
    text = text_config(family, seed)
    return transformers.Ovis2Config(
        vision_config=tower_sizes(seed)
        | {
            "image_size": side * PATCH,
            "vocab_size": [17, 23][seed % 2],
            "hidden_stride": stride,
            "num_visual_indicator_tokens": len(MARKS),
            "tokenize_function": choice,
            "qkv_bias": seed % 2 == 0,
            "mlp_bias": seed % 3 == 1,
        },
        text_config=text,
        image_token_id=IMAGE,
        visual_indicator_token_ids=MARKS,
        vocab_size=text.vocab_size,
        hidden_size=text.hidden_size,
        tie_word_embeddings=text.tie_word_embeddings,
    )


def given(config: Any, seed: int = 0) -> tuple[Any, dict[str, Any], dict[str, Any]]:
    """Every sample holds marks, the one without an image too, all before the cache begins."""
    size = config.vision_config.image_size
    each = (size // PATCH // config.vision_config.hidden_stride) ** 2
    ids = prompt(config.text_config.vocab_size, rows=35, seed=seed)
    ids[ids <= max(MARKS)] = 11
    ids = show(ids, COUNTS, each, first=5)
    ids[:, 4], ids[1, 5 + each], ids[0, 28], ids[2, 27] = MARKS[0], MARKS[2], MARKS[1], MARKS[1]
    media, other = ({"pixel_values": noise(3, 3, size, size, seed=s)} for s in (seed, seed + 9))
    return ids, media, other


def model_of(seed: int) -> Any:
    return transformers.Ovis2ForConditionalGeneration(config_of(seed))


@pytest.mark.parametrize("seed", range(len(CASES)))
def test_logits_cache_and_generation(seed: int, tmp_path: Path) -> None:
    theirs = saved(model_of(seed), tmp_path, seed)
    check_everything(chiasm.load(str(tmp_path)), theirs, *given(theirs.config, seed))


def test_marks_are_words_where_no_image_is_given(tmp_path: Path) -> None:
    theirs = saved(model_of(0), tmp_path)
    ours, (ids, media, _) = chiasm.load(str(tmp_path)), given(theirs.config)
    ids[ids == IMAGE] = 11
    check_logits(ours, theirs, ids)
    alone = scores(ours, input_ids=ids[2:])
    beside = scores(ours, input_ids=given(theirs.config)[0], **media)[2:]
    assert (alone - beside).abs().max() > 1e-2


@pytest.mark.parametrize("seed", [0, 1])
def test_export(seed: int, tmp_path: Path) -> None:
    theirs = saved(model_of(seed), tmp_path / "first", seed)
    ids, media, _ = given(theirs.config)
    again = check_export(theirs, transformers.AutoModelForImageTextToText, tmp_path, ids, media)
    assert list(again.config.visual_indicator_token_ids) == MARKS


def test_our_own_folder_keeps_the_marks(tmp_path: Path) -> None:
    theirs = saved(model_of(0), tmp_path / "first")
    ours, (ids, media, _) = chiasm.load(str(tmp_path / "first")), given(theirs.config)
    save(ours.model, tmp_path / "second", tokens=ours.tokens)
    again: Any = chiasm.load(str(tmp_path / "second"))
    assert again.tokens == ours.tokens
    torch.testing.assert_close(
        scores(again, input_ids=ids, **media), scores(ours, input_ids=ids, **media), **CLOSE
    )


def test_headless_checkpoint(tmp_path: Path) -> None:
    theirs = saved(transformers.Ovis2Model(config_of(0)), tmp_path)
    ids, media, _ = given(theirs.config)
    check_headless(theirs, tmp_path, ids, media)


@pytest.mark.parametrize(
    ("part", "change", "said"),
    [
        ("vision", {"tokenize_function": "gumbel_argmax"}, "'gumbel_argmax' is not supported"),
        ("vision", {"hidden_stride": 2}, "3 x 3 tokens"),
        ("vision", {"num_visual_indicator_tokens": 2}, "names 3 visual_indicator_token_ids"),
        ("", {"hidden_size": 3}, "hidden_size = 3"),
        ("", {"vocab_size": 9}, "vocab_size = 9"),
    ],
)
def test_what_is_not_run_is_refused(part: str, change: dict[str, Any], said: str) -> None:
    config = config_of(0)
    for name, value in change.items():
        setattr(config.vision_config if part else config, name, value)
    with pytest.raises(ChiasmError) as error:
        opened(config)
    assert said in one_line(error)

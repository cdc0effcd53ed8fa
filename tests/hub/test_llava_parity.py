"""LLaVA-1.5 with CLIP and SigLIP towers: the same numbers as transformers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.hub.cases import (
    CLOSE,
    SIDE,
    check_cached,
    check_generation,
    check_logits,
    llava_config,
    one_line,
    prompt,
    saved,
    scores,
    show,
)
from transformers import LlavaForConditionalGeneration, LlavaModel

import chiasm
from chiasm.errors import ChiasmError

pytestmark = pytest.mark.evidence(slug="llava-1.5", grade="matches")

# (tower, strategy, layer, text family, tokens an image)
CASES = [
    ("clip", "default", -2, "llama", 9),
    ("clip", "default", [1, -2], "qwen2", 9),
    ("clip", "full", -1, "mistral", 10),
    ("clip", "full", [-3, 3], "llama", 10),
    ("siglip", "full", -2, "qwen3", 9),
    ("siglip", "full", -1, "qwen2", 9),
    ("siglip", "full", [0, 2], "llama", 9),
    ("siglip", "default", -2, "mistral", 8),
]
COUNTS = [1, 2, 0]


def opened(case: tuple[Any, ...], folder: Path, seed: int) -> tuple[Any, Any, int]:
    tower, strategy, layer, family, each = case
    config = llava_config(tower, strategy, layer, family, seed)
    theirs = saved(LlavaForConditionalGeneration(config), folder, seed)
    return chiasm.load(str(folder)), theirs, each


def pixels(images: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(images, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("seed", "case"), list(enumerate(CASES)))
def test_logits_cache_and_generation(seed: int, case: tuple[Any, ...], tmp_path: Path) -> None:
    ours, theirs, each = opened(case, tmp_path, seed)
    vocabulary = theirs.config.text_config.vocab_size
    ids = show(prompt(vocabulary, rows=35, seed=seed), COUNTS, each)
    media = {"pixel_values": pixels(3)}
    check_logits(ours, theirs, ids, **media)
    check_cached(ours, theirs, ids, prefill=29, chunk=1, **media)
    check_cached(ours, theirs, ids, prefill=26, chunk=4, **media)
    check_generation(ours, theirs, ids, **media)
    alone = scores(ours, input_ids=ids[1:2], pixel_values=pixels(3)[1:])
    torch.testing.assert_close(alone, scores(ours, input_ids=ids, **media)[1:2], **CLOSE)
    other = scores(ours, input_ids=ids, pixel_values=pixels(3, seed=1))
    assert (other - scores(ours, input_ids=ids, **media))[0].abs().max() > 1e-2


def test_a_second_image_may_come_after_the_cache(tmp_path: Path) -> None:
    ours, theirs, each = opened(CASES[0], tmp_path, 0)
    ids = show(prompt(theirs.config.text_config.vocab_size, batch=2, rows=31), [2, 2], each)
    images = pixels(4)
    wanted = scores(theirs, input_ids=ids, pixel_values=images)
    cut = 4 + each + 1
    first = ours(input_ids=ids[:, :cut], pixel_values=images[[0, 2]])
    second = ours(
        input_ids=ids[:, cut:],
        pixel_values=images[[1, 3]],
        past_key_values=first.past_key_values,
    )
    found = torch.cat([first.logits, second.logits], 1)
    torch.testing.assert_close(found, wanted, **CLOSE)
    assert second.past_key_values.items.tolist() == [[2], [2]]


def test_without_images_the_text_alone_is_read(tmp_path: Path) -> None:
    ours, theirs, _ = opened(CASES[0], tmp_path, 0)
    check_logits(ours, theirs, prompt(theirs.config.text_config.vocab_size))


def test_headless_checkpoint(tmp_path: Path) -> None:
    theirs = saved(LlavaModel(llava_config("clip", "default", -2)), tmp_path)
    ours = chiasm.load(str(tmp_path))
    ids = show(prompt(53, rows=35), COUNTS, 9)
    with torch.no_grad():
        wanted = theirs(input_ids=ids, pixel_values=pixels(3)).last_hidden_state
        found = ours(input_ids=ids, pixel_values=pixels(3)).last_hidden_state
    torch.testing.assert_close(found, wanted, **CLOSE)


def test_gradients_reach_the_connector_and_equal(tmp_path: Path) -> None:
    ours, theirs, each = opened(CASES[0], tmp_path, 0)
    ids = show(prompt(theirs.config.text_config.vocab_size, rows=35), COUNTS, each)
    given = {"input_ids": ids, "labels": ids, "pixel_values": pixels(3), "use_cache": False}
    ours(**given).loss.backward()
    theirs(**given).loss.backward()
    for index, layer in ((0, "linear_1"), (2, "linear_2")):
        wanted = getattr(theirs.model.multi_modal_projector, layer).weight.grad
        assert wanted.abs().max() > 1e-3
        torch.testing.assert_close(ours.model.connector[index].weight.grad, wanted, **CLOSE)


def test_counts_that_disagree_are_named(tmp_path: Path) -> None:
    ours, _, each = opened(CASES[0], tmp_path, 0)
    ids = show(prompt(53, rows=35), COUNTS, each)
    with pytest.raises(ChiasmError) as error:
        ours(input_ids=ids, pixel_values=pixels(2))
    assert "27 image tokens" in one_line(error) and "18 features" in one_line(error)
    moved = ids.clone()
    moved[0, 4], moved[2, 4] = 9, 5
    with pytest.raises(ChiasmError) as error:
        ours(input_ids=moved, pixel_values=pixels(3))
    assert "sample 0 has 8" in one_line(error)

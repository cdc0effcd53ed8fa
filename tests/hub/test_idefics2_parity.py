"""Idefics2 at native sizes, several images a sample: the same numbers as transformers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tests.hub.cases import (
    CLOSE,
    check_cached,
    check_generation,
    check_logits,
    idefics2_config,
    prompt,
    saved,
    scores,
    show,
)
from transformers import Idefics2ForConditionalGeneration, Idefics2Model

import chiasm

pytestmark = pytest.mark.evidence(slug="idefics2", grade="matches")

EACH = 3
COUNTS = [1, 2, 0]


def media(seed: int = 0) -> dict[str, torch.Tensor]:
    """Images of several sizes, whole and partial patches of padding, and padding images."""
    pixels = torch.randn(3, 2, 3, 28, 35, generator=torch.Generator().manual_seed(seed))
    mask = torch.ones(3, 2, 28, 35, dtype=torch.long)
    mask[1, 0, 21:] = 0
    mask[1, 1, :, 25:] = 0
    mask[0, 1], mask[2] = 0, 0
    return {"pixel_values": pixels * mask.unsqueeze(2), "pixel_attention_mask": mask}


def opened(folder: Path, seed: int) -> tuple[Any, Any]:
    theirs = saved(Idefics2ForConditionalGeneration(idefics2_config(seed)), folder, seed)
    return chiasm.load(str(folder)), theirs


@pytest.mark.parametrize("seed", range(3))
def test_logits_cache_and_generation(seed: int, tmp_path: Path) -> None:
    ours, theirs = opened(tmp_path, seed)
    ids = show(prompt(theirs.config.text_config.vocab_size, rows=23, seed=seed), COUNTS, EACH)
    check_logits(ours, theirs, ids, **media())
    check_cached(ours, theirs, ids, prefill=15, chunk=1, **media())
    check_cached(ours, theirs, ids, prefill=13, chunk=4, **media())
    check_generation(ours, theirs, ids, **media())
    changed = scores(ours, input_ids=ids, **media(seed=1)) - scores(ours, input_ids=ids, **media())
    assert changed[1].abs().max() > 1e-3
    assert changed[2].abs().max() == 0


def test_without_a_pixel_mask_every_pixel_is_real(tmp_path: Path) -> None:
    ours, theirs = opened(tmp_path, 0)
    ids = show(prompt(theirs.config.text_config.vocab_size, rows=23), COUNTS, EACH)
    check_logits(ours, theirs, ids, pixel_values=media()["pixel_values"])


def test_padding_cannot_change_the_output(tmp_path: Path) -> None:
    ours, _ = opened(tmp_path, 0)
    ids = show(prompt(53, rows=23), COUNTS, EACH)
    given = media()
    filled = given["pixel_values"] + 3.0 * (1 - given["pixel_attention_mask"]).unsqueeze(2)
    filled[0, 1], filled[2] = 0, 0
    given["pixel_values"][1, :, :, 0, 0] += 1e-6
    found = scores(
        ours,
        input_ids=ids,
        pixel_values=filled,
        pixel_attention_mask=given["pixel_attention_mask"],
    )
    torch.testing.assert_close(found, scores(ours, input_ids=ids, **given), **CLOSE)


def test_headless_checkpoint(tmp_path: Path) -> None:
    theirs = saved(Idefics2Model(idefics2_config(0)), tmp_path)
    ours = chiasm.load(str(tmp_path))
    ids = show(prompt(53, rows=23), COUNTS, EACH)
    with torch.no_grad():
        wanted = theirs(input_ids=ids, **media()).last_hidden_state
        found = ours(input_ids=ids, **media()).last_hidden_state
    torch.testing.assert_close(found, wanted, **CLOSE)

"""ViLT folders: transformers' own hidden states and pooler, for random sizes and padded images."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tests.hub.cases import CLOSE, masks, one_line, saved

import chiasm
from chiasm.errors import ChiasmError

pytestmark = pytest.mark.evidence(slug="vilt", grade="matches")


def config(seed: int, **changes: Any) -> Any:
    draw = random.Random(seed)
    heads, patch = draw.choice([2, 3, 5]), draw.choice([5, 7])
    sizes: dict[str, Any] = dict(
        vocab_size=53,
        type_vocab_size=draw.choice([2, 3]),
        modality_type_vocab_size=draw.choice([2, 3]),
        max_position_embeddings=17,
        hidden_size=heads * draw.choice([6, 10]),
        num_hidden_layers=draw.choice([2, 3]),
        num_attention_heads=heads,
        intermediate_size=draw.choice([23, 31]),
        hidden_act=draw.choice(["gelu", "relu"]),
        layer_norm_eps=draw.choice([1e-12, 1e-5]),
        image_size=patch * draw.choice([3, 4]),
        patch_size=patch,
        qkv_bias=draw.choice([True, False]),
        max_image_length=draw.choice([-1, 5]),
    )
    return transformers.ViltConfig(**{**sizes, **changes})


def inputs(made: Any, seed: int, grid: tuple[int, int] | None = None) -> dict[str, Any]:
    """Three samples: a full image, a low one, a narrow one; words of every padding come later."""
    generator = torch.Generator().manual_seed(seed)
    patch = made.patch_size
    rows, columns = grid or (made.image_size // patch,) * 2
    mask = torch.ones(3, rows * patch, columns * patch, dtype=torch.long)
    mask[1, patch:] = 0
    mask[2, :, patch * (columns - 1) :] = 0
    return {
        "input_ids": torch.randint(1, 53, (3, 11), generator=generator),
        "pixel_values": torch.randn(3, 3, *mask.shape[1:], generator=generator),
        "pixel_mask": mask,
    }


@torch.no_grad()
def check(theirs: Any, ours: Any, given: dict[str, Any]) -> None:
    """Equal outputs; patches are drawn from the same state of torch's generator."""
    torch.manual_seed(7)
    wanted = theirs(**given)
    torch.manual_seed(7)
    found = ours(**given)
    torch.testing.assert_close(found.last_hidden_state, wanted.last_hidden_state, **CLOSE)
    torch.testing.assert_close(found.pooler_output, wanted.pooler_output, **CLOSE)


@pytest.mark.parametrize("seed", range(5))
def test_hidden_states_and_pooler(seed: int, tmp_path: Path) -> None:
    made = config(seed)
    theirs = saved(transformers.ViltModel(made), tmp_path, seed)
    ours = chiasm.load(str(tmp_path))
    given = inputs(made, seed)
    for _, mask in masks(3, 11):
        check(theirs, ours, {**given, "attention_mask": mask})
    segments = torch.randint(0, 2, (3, 11), generator=torch.Generator().manual_seed(seed))
    check(theirs, ours, {**given, "token_type_ids": segments})
    check(theirs, ours, {**inputs(made, seed, (3, 7)), "attention_mask": mask})
    if made.max_image_length < 0:
        alone = {name: value[:1] for name, value in given.items() if name != "pixel_mask"}
        check(theirs, ours, alone)


def test_the_third_type_of_a_second_image(tmp_path: Path) -> None:
    made = config(0, modality_type_vocab_size=3)
    theirs = saved(transformers.ViltModel(made), tmp_path)
    ours = chiasm.load(str(tmp_path))
    for kind in (1, 2):
        check(theirs, ours, {**inputs(made, 0), "image_token_type_idx": kind})


def test_without_a_pooler(tmp_path: Path) -> None:
    made = config(1, max_image_length=-1)
    theirs = saved(transformers.ViltModel(made, add_pooling_layer=False), tmp_path)
    ours: Any = chiasm.load(str(tmp_path))
    given = inputs(made, 1)
    assert theirs(**given).pooler_output is None and ours(**given).pooler_output is None


def test_a_task_head_is_refused(tmp_path: Path) -> None:
    saved(transformers.ViltForQuestionAnswering(config(0)), tmp_path)
    with pytest.raises(ChiasmError) as error:
        chiasm.load(str(tmp_path))
    assert "'ViltForQuestionAnswering' is not read" in one_line(error)

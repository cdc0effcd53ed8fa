"""Folders of vision models alone, and of towers in pairs: transformers' own outputs."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tests.hub.cases import CLOSE, SIDE, saved, tower_sizes

import chiasm
from chiasm.hub import VisionModel

PIXELS = torch.randn(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))


def towers(seed: int) -> dict[str, Any]:
    sizes = tower_sizes(seed)
    text: dict[str, Any] = dict(
        vocab_size=53,
        hidden_size=22,
        intermediate_size=29,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=13,
        projection_size=sizes["hidden_size"],
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
    )
    return {
        "clip": transformers.CLIPVisionModel(transformers.CLIPVisionConfig(**sizes)),
        "siglip": transformers.SiglipVisionModel(transformers.SiglipVisionConfig(**sizes)),
        "dinov2": transformers.Dinov2Model(transformers.Dinov2Config(**sizes)),
        "clip pair": transformers.CLIPModel(
            transformers.CLIPConfig(text_config=text, vision_config=sizes, projection_dim=11)
        ),
        "siglip pair": transformers.SiglipModel(
            transformers.SiglipConfig(text_config=text, vision_config=sizes)
        ),
    }


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["clip", "siglip", "dinov2"])
def test_towers(kind: str, seed: int, tmp_path: Path) -> None:
    theirs = saved(towers(seed)[kind], tmp_path, seed)
    ours = chiasm.load(str(tmp_path))
    assert isinstance(ours, VisionModel) and not ours.training
    with torch.no_grad():
        wanted, found = theirs(pixel_values=PIXELS), ours(pixel_values=PIXELS)
        single = ours(pixel_values=PIXELS[1:2])
    torch.testing.assert_close(found.last_hidden_state, wanted.last_hidden_state, **CLOSE)
    torch.testing.assert_close(single.last_hidden_state[0], found.last_hidden_state[1], **CLOSE)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("kind", ["clip pair", "siglip pair"])
def test_pairs_of_towers(kind: str, seed: int, tmp_path: Path) -> None:
    theirs = saved(towers(seed)[kind], tmp_path, seed)
    ours = chiasm.load(str(tmp_path))
    ids = torch.randint(3, 53, (2, 13), generator=torch.Generator().manual_seed(seed))
    ids[:, -1] = 2
    given = {"input_ids": ids, "pixel_values": PIXELS}
    with torch.no_grad():
        wanted, found = theirs(**given), ours(**given)
    assert found.logits_per_image.shape == (3, 2)
    torch.testing.assert_close(found.logits_per_image, wanted.logits_per_image, **CLOSE)

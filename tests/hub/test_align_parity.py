"""ALIGN folders: transformers' own embeddings and logits, for random sizes."""

import random
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tests.hub.cases import CLOSE, masks, one_line

import chiasm
from chiasm.errors import ChiasmError

OUTPUTS = ("image_embeds", "text_embeds", "logits_per_image", "logits_per_text", "loss")


def config(seed: int) -> Any:
    draw = random.Random(seed)
    stages = draw.choice([2, 3])
    # The stem makes 32 channels; the first stage must take them.
    channels = [32, *(8 * draw.choice([1, 2]) for _ in range(stages))]
    heads = draw.choice([2, 3])
    width = channels[-1]
    return transformers.AlignConfig(
        text_config=dict(
            vocab_size=53,
            hidden_size=heads * draw.choice([5, 7]),
            num_hidden_layers=2,
            num_attention_heads=heads,
            intermediate_size=draw.choice([23, 29]),
            max_position_embeddings=17,
            pad_token_id=0,
        ),
        vision_config=dict(
            image_size=31,
            width_coefficient=1.0,
            depth_coefficient=draw.choice([1.0, 1.7]),
            kernel_sizes=[draw.choice([3, 5]) for _ in range(stages)],
            in_channels=channels[:-1],
            out_channels=channels[1:],
            strides=[draw.choice([1, 2]) for _ in range(stages)],
            num_block_repeats=[1] * stages,
            expand_ratios=[draw.choice([1, 4]) for _ in range(stages)],
            hidden_dim=23,
            pooling_type=draw.choice(["mean", "max"]),
        ),
        projection_dim=width,
        temperature_init_value=draw.choice([0.3, 1.0]),
    )


def randomised(model: Any, folder: Path, seed: int) -> Any:
    """The model with other weights and running statistics than it starts with, saved."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim():
                center = 1.0 if "norm" in name.lower() and name.endswith("weight") else 0.0
                parameter.copy_(center + 0.3 * torch.randn(parameter.shape, generator=generator))
        for name, buffer in model.named_buffers():
            if "running" in name:
                buffer.add_(0.3 * torch.rand(buffer.shape, generator=generator))
    model.eval().save_pretrained(folder)
    return model


@pytest.mark.parametrize("seed", range(5))
def test_embeddings_and_logits(seed: int, tmp_path: Path) -> None:
    theirs = randomised(transformers.AlignModel(config(seed)), tmp_path, seed)
    ours: Any = chiasm.load(str(tmp_path))
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randn(3, 3, 31, 37, generator=generator)
    ids = torch.randint(1, 53, (3, 11), generator=generator)
    for _, mask in masks(3, 11):
        given = {"input_ids": ids, "pixel_values": pixels, "attention_mask": mask}
        with torch.no_grad():
            wanted, found = theirs(**given, return_loss=True), ours(**given, return_loss=True)
        for name in OUTPUTS:
            torch.testing.assert_close(getattr(found, name), getattr(wanted, name), **CLOSE)
    with torch.no_grad():
        alone = ours(input_ids=ids[:2], pixel_values=pixels[1:2])
        wanted = theirs(input_ids=ids[:2], pixel_values=pixels[1:2])
    assert alone.logits_per_image.shape == (1, 2)
    torch.testing.assert_close(alone.logits_per_image, wanted.logits_per_image, **CLOSE)


def test_a_tower_alone_is_refused(tmp_path: Path) -> None:
    model = transformers.AlignModel(config(0))
    model.config.architectures = ["AlignVisionModel"]
    model.save_pretrained(tmp_path)
    text = (tmp_path / "config.json").read_text().replace('"AlignModel"', '"AlignTextModel"')
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ChiasmError) as error:
        chiasm.load(str(tmp_path))
    assert "known: AlignModel" in one_line(error)

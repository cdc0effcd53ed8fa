"""Tiny random models of transformers, and prompts of every padding, for the parity tests."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor, nn
from transformers.models.idefics2.configuration_idefics2 import Idefics2VisionConfig

IMAGE = 5
"""Id of the image token; other tests draw ids above it."""
CLOSE = {"atol": 1e-4, "rtol": 0.0}
PATCH, SIDE = 7, 21
"""Nine patches an image."""
TEXT_FAMILIES = ("llama", "mistral", "qwen2", "qwen3", "cohere2")
LAYER = 3


def text_config(family: str, seed: int) -> Any:
    """A random tiny config of a family: prime sizes, grouped heads, windows, biases, ties."""
    draw = random.Random(f"{family}{seed}")
    kv_heads, groups = draw.choice([(1, 5), (3, 2), (2, 3), (3, 1)])
    heads = kv_heads * groups
    common: dict[str, Any] = dict(
        vocab_size=draw.choice([53, 61, 71]),
        hidden_size=heads * draw.choice([5, 7]),
        intermediate_size=draw.choice([29, 37]),
        num_hidden_layers=LAYER,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        head_dim=draw.choice([6, 10]),
        rms_norm_eps=draw.choice([1e-6, 1e-5]),
        rope_parameters={"rope_type": "default", "rope_theta": draw.choice([1e4, 5e5])},
        max_position_embeddings=97,
        tie_word_embeddings=bool(seed % 2),
        bos_token_id=1,
        eos_token_id=None,
        pad_token_id=0,
    )
    if family == "llama":
        biased = {"attention_bias": seed % 3 == 1, "mlp_bias": seed % 3 == 2}
        return transformers.LlamaConfig(**common, **biased)
    if family == "mistral":
        return transformers.MistralConfig(**common, sliding_window=draw.choice([4, None, 3]))
    if family == "cohere2":
        # Its heads share the width out evenly.
        del common["head_dim"]
        common["layer_norm_eps"] = common.pop("rms_norm_eps")
        common["hidden_size"] = heads * draw.choice([6, 10])
        kinds = [["sliding_attention", "full_attention"], ["full_attention"], ["sliding_attention"]]
        return transformers.Cohere2Config(
            **common,
            sliding_window=4,
            layer_types=(kinds[seed % 3] * LAYER)[:LAYER],
            attention_bias=seed % 2 == 0,
            logit_scale=draw.choice([0.0625, 0.5]),
        )
    windows = {"use_sliding_window": seed % 2 == 0, "sliding_window": 4, "max_window_layers": 1}
    if family == "qwen2":
        return transformers.Qwen2Config(**common, **windows)
    return transformers.Qwen3Config(**common, **windows, attention_bias=seed % 3 == 1)


def tower_sizes(seed: int = 0) -> dict[str, Any]:
    """Sizes of a tiny vision transformer with four layers."""
    draw = random.Random(seed)
    heads = draw.choice([2, 3, 5])
    return dict(
        hidden_size=heads * draw.choice([4, 6]),
        intermediate_size=draw.choice([23, 31]),
        num_hidden_layers=4,
        num_attention_heads=heads,
        image_size=SIDE,
        patch_size=PATCH,
    )


def llava_config(
    tower: str, strategy: str, layer: int | list[int], family: str = "llama", seed: int = 0
) -> Any:
    vision: Any = (
        transformers.CLIPVisionConfig(**tower_sizes(seed))
        if tower == "clip"
        else transformers.SiglipVisionConfig(**tower_sizes(seed), vision_use_head=seed % 2 == 0)
    )
    return transformers.LlavaConfig(
        vision_config=vision,
        text_config=text_config(family, seed),
        image_token_index=IMAGE,
        vision_feature_layer=layer,
        vision_feature_select_strategy=strategy,
        multimodal_projector_bias=seed % 2 == 0,
    )


def idefics2_config(seed: int) -> Any:
    text = text_config("mistral", seed)
    return transformers.Idefics2Config(
        vision_config=Idefics2VisionConfig(**tower_sizes(seed)).to_dict(),
        perceiver_config=dict(
            hidden_size=text.hidden_size,
            rms_norm_eps=1e-6,
            resampler_n_latents=3,
            resampler_depth=2,
            resampler_n_heads=4,
            resampler_head_dim=7,
            num_key_value_heads=2,
        ),
        text_config=text,
        image_token_id=IMAGE,
        tie_word_embeddings=text.tie_word_embeddings,
    )


def saved(model: Any, folder: Path, seed: int = 0) -> Any:
    """The model with weights large enough to tell rows apart, saved into the folder."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            center = 1.0 if "norm" in name and name.endswith("weight") else 0.0
            parameter.copy_(center + 0.3 * torch.randn(parameter.shape, generator=generator))
    model.eval().save_pretrained(folder)
    return model


def masks(batch: int, rows: int) -> Iterator[tuple[str, Tensor]]:
    """No padding, ragged padding on the left, and on the right."""
    full = torch.ones(batch, rows, dtype=torch.long)
    ragged = full.clone()
    for sample in range(1, batch):
        ragged[sample, : 2 * sample] = 0
    yield "none", full
    yield "left", ragged
    yield "right", ragged.flip(1)


def prompt(vocabulary: int, batch: int = 3, rows: int = 11, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(IMAGE + 1, vocabulary, (batch, rows), generator=generator)


def show(ids: Tensor, counts: list[int], each: int, first: int = 4) -> Tensor:
    """The ids with so many images of `each` tokens in each sample, apart by one token."""
    ids = ids.clone()
    for sample, count in enumerate(counts):
        for image in range(count):
            start = first + image * (each + 1)
            ids[sample, start : start + each] = IMAGE
    return ids


@torch.no_grad()
def scores(model: nn.Module, **inputs: Any) -> Tensor:
    return model(**inputs).logits


def check_logits(ours: nn.Module, theirs: nn.Module, ids: Tensor, **media: Any) -> None:
    """Equal scores of real rows, batched, under each padding side."""
    for side, mask in masks(*ids.shape):
        wanted = scores(theirs, input_ids=ids, attention_mask=mask, **media)
        found = scores(ours, input_ids=ids, attention_mask=mask, **media)
        real = mask.bool()
        torch.testing.assert_close(
            found[real], wanted[real], **CLOSE, msg=f"{side} padding differs"
        )


def check_cached(
    ours: nn.Module, theirs: nn.Module, ids: Tensor, *, prefill: int, chunk: int, **media: Any
) -> None:
    """Rows given in chunks, left-padded, against transformers' one uncached pass."""
    mask = dict(masks(*ids.shape))["left"]
    wanted = scores(theirs, input_ids=ids, attention_mask=mask, **media)
    past, found, start = None, [], 0
    for end in [*range(prefill, ids.shape[1], chunk), ids.shape[1]]:
        with torch.no_grad():
            output = ours(
                input_ids=ids[:, start:end],
                attention_mask=mask[:, :end],
                past_key_values=past,
                use_cache=True,
                **(media if start == 0 else {}),
            )
        past, start = output.past_key_values, end
        found.append(output.logits)
    assert past.get_seq_length() == ids.shape[1]
    real = mask.bool()
    torch.testing.assert_close(torch.cat(found, 1)[real], wanted[real], **CLOSE)


def check_generation(ours: Any, theirs: Any, ids: Tensor, **media: Any) -> None:
    """The same greedy ids from a left-padded batch, with and without an end."""
    given = {"input_ids": ids, "attention_mask": dict(masks(*ids.shape))["left"], **media}
    wanted = theirs.generate(**given, max_new_tokens=9, do_sample=False, pad_token_id=0)
    assert torch.equal(ours.generate(**given, max_new_tokens=9, pad_token_id=0), wanted)
    stop = int(wanted[0, ids.shape[1] + 3])
    wanted = theirs.generate(
        **given, max_new_tokens=9, do_sample=False, pad_token_id=0, eos_token_id=stop
    )
    found = ours.generate(**given, max_new_tokens=9, pad_token_id=0, eos_token_id=stop)
    assert torch.equal(found, wanted)


def one_line(error: pytest.ExceptionInfo[BaseException]) -> str:
    """The message, which must be a single line."""
    text = str(error.value)
    assert text and "\n" not in text
    return text

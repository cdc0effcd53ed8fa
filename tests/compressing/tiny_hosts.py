"""Tiny random transformers models of every host, and batches with unequal pictures for them."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import transformers as library
from torch import Tensor, nn

# Its configuration classes are typed too narrowly for keywords in a dict.
transformers: Any = library

IMAGE, START, END, PAD = 5, 6, 7, 0
VOCABULARY = 61


def _text(draw: random.Random) -> dict[str, Any]:
    kv_heads, groups = draw.choice([(1, 3), (3, 2), (2, 3)])
    heads = kv_heads * groups
    return {
        "vocab_size": VOCABULARY,
        "hidden_size": heads * 8,
        "intermediate_size": 37,
        "num_hidden_layers": draw.choice([4, 5]),
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": 8,
        "max_position_embeddings": 1024,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": PAD,
    }


def _tower(draw: random.Random, side: int, patch: int = 4) -> dict[str, Any]:
    heads = draw.choice([2, 3])
    return {
        "hidden_size": heads * 6,
        "intermediate_size": 23,
        "num_hidden_layers": 4,
        "num_attention_heads": heads,
        "image_size": side * patch,
        "patch_size": patch,
    }


def _llava(draw: random.Random) -> Any:
    return transformers.LlavaConfig(
        vision_config=transformers.CLIPVisionConfig(**_tower(draw, 6)),
        text_config=transformers.LlamaConfig(**_text(draw)),
        image_token_index=IMAGE,
    )


def _llava_next(draw: random.Random) -> Any:
    tower = _tower(draw, 4)
    side = tower["image_size"]
    return transformers.LlavaNextConfig(
        vision_config=transformers.CLIPVisionConfig(**tower),
        text_config=transformers.LlamaConfig(**_text(draw)),
        image_token_index=IMAGE,
        image_grid_pinpoints=[[side, 2 * side], [2 * side, side], [2 * side, 2 * side]],
    )


def _onevision(draw: random.Random) -> Any:
    tower = _tower(draw, 4)
    side = tower["image_size"]
    return transformers.LlavaOnevisionConfig(
        vision_config=transformers.SiglipVisionConfig(**tower, vision_use_head=False),
        text_config=transformers.Qwen2Config(**_text(draw)),
        image_token_index=IMAGE,
        video_token_index=8,
        vision_feature_select_strategy="full",
        image_grid_pinpoints=[[side, 2 * side], [2 * side, side], [2 * side, 2 * side]],
    )


def _qwen_text(draw: random.Random) -> dict[str, Any]:
    rope = {"rope_type": "default", "mrope_section": [1, 1, 2], "rope_theta": 10000.0}
    return {**_text(draw), "rope_parameters": rope}


def _qwen_tokens() -> dict[str, int]:
    return {
        "image_token_id": IMAGE,
        "video_token_id": 8,
        "vision_start_token_id": START,
        "vision_end_token_id": END,
    }


def _qwen_vision(text: dict[str, Any], **own: Any) -> dict[str, Any]:
    return {
        "depth": 4,
        "hidden_size": 16,
        "out_hidden_size": text["hidden_size"],
        "num_heads": 2,
        "intermediate_size": 23,
        "patch_size": 4,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        **own,
    }


def _qwen2(draw: random.Random) -> Any:
    text = _qwen_text(draw)
    vision = {
        "depth": 3,
        "embed_dim": 16,
        "hidden_size": text["hidden_size"],
        "num_heads": 2,
        "mlp_ratio": 2,
        "patch_size": 4,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    }
    return transformers.Qwen2VLConfig(text_config=text, vision_config=vision, **_qwen_tokens())


def _qwen2_5(draw: random.Random) -> Any:
    text = _qwen_text(draw)
    vision = _qwen_vision(text, window_size=16, fullatt_block_indexes=[1, 3])
    return transformers.Qwen2_5_VLConfig(text_config=text, vision_config=vision, **_qwen_tokens())


def _qwen3(draw: random.Random) -> Any:
    text = _qwen_text(draw)
    vision = _qwen_vision(text, num_position_embeddings=16, deepstack_visual_indexes=[1, 2])
    return transformers.Qwen3VLConfig(text_config=text, vision_config=vision, **_qwen_tokens())


def _internvl(draw: random.Random) -> Any:
    tower = _tower(draw, 8)
    tower["image_size"] = [tower["image_size"]] * 2
    tower["patch_size"] = [tower["patch_size"]] * 2
    return transformers.InternVLConfig(
        vision_config=transformers.InternVLVisionConfig(**tower),
        text_config=transformers.Qwen2Config(**_text(draw)),
        image_token_id=IMAGE,
        downsample_ratio=0.5,
        image_seq_length=16,
    )


def _shuffled(kind: str, config: str) -> Callable[[random.Random], Any]:
    def make(draw: random.Random) -> Any:
        return getattr(transformers, config)(
            vision_config={**_tower(draw, 8), "model_type": f"{kind}_vision"},
            text_config=transformers.LlamaConfig(**_text(draw)),
            image_token_id=IMAGE,
            scale_factor=2,
            pad_token_id=PAD,
        )

    return make


CONFIGS: dict[str, tuple[str, Callable[[random.Random], Any]]] = {
    "llava": ("LlavaForConditionalGeneration", _llava),
    "llava_next": ("LlavaNextForConditionalGeneration", _llava_next),
    "llava_onevision": ("LlavaOnevisionForConditionalGeneration", _onevision),
    "qwen2_vl": ("Qwen2VLForConditionalGeneration", _qwen2),
    "qwen2_5_vl": ("Qwen2_5_VLForConditionalGeneration", _qwen2_5),
    "qwen3_vl": ("Qwen3VLForConditionalGeneration", _qwen3),
    "internvl": ("InternVLForConditionalGeneration", _internvl),
    "idefics3": ("Idefics3ForConditionalGeneration", _shuffled("idefics3", "Idefics3Config")),
    "smolvlm": ("SmolVLMForConditionalGeneration", _shuffled("smolvlm", "SmolVLMConfig")),
}
KINDS = list(CONFIGS)


def host(kind: str, seed: int = 0, attention: str = "sdpa") -> nn.Module:
    """A random model whose tokens differ enough for rankings to be stable."""
    name, config = CONFIGS[kind]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = config(random.Random(f"{kind}{seed}"))
        model = getattr(transformers, name)._from_config(made, attn_implementation=attention)
        with torch.no_grad():
            for path, parameter in model.named_parameters():
                center = 1.0 if "norm" in path and path.endswith("weight") else 0.0
                parameter.copy_(center + 0.15 * torch.randn(parameter.shape))
    model.generation_config.eos_token_id = None
    return model.eval()


@dataclass
class Batch:
    """Keyword arguments of the model, and the last row of each prompt."""

    told: dict[str, Any]
    last: list[int]


def batch(
    kind: str, seed: int = 0, side: str = "left", pictures: tuple[int, ...] = (1, 2)
) -> Batch:
    """A batch of prompts with so many pictures each, of unequal sizes where the host allows."""
    generator = torch.Generator().manual_seed(seed + 100)
    draw = random.Random(seed)
    maker = _PICTURES[kind]
    images = [[maker(draw, generator) for _ in range(count)] for count in pictures]
    rows = []
    for own in images:
        ids = [1]
        for tokens, _ in own:
            words = torch.randint(9, VOCABULARY, (3,), generator=generator).tolist()
            ids += [*words, START, *[IMAGE] * tokens, END]
        ids += torch.randint(9, VOCABULARY, (draw.choice([4, 6]),), generator=generator).tolist()
        rows.append(ids)
    longest = max(map(len, rows))
    ids = torch.full((len(rows), longest), PAD)
    mask = torch.zeros_like(ids)
    last = []
    for number, row in enumerate(rows):
        start = longest - len(row) if side == "left" else 0
        ids[number, start : start + len(row)] = torch.tensor(row)
        mask[number, start : start + len(row)] = 1
        last.append(start + len(row) - 1)
    told = {"input_ids": ids, "attention_mask": mask}
    flat = [pixels for own in images for _, pixels in own]
    told |= _JOIN[kind](flat, list(pictures))
    if kind.startswith("qwen"):
        told["mm_token_type_ids"] = (ids == IMAGE).int()
    return Batch(told, last)


def _square(tokens: int, side: int) -> Callable[..., tuple[int, Any]]:
    def make(draw: random.Random, generator: torch.Generator) -> tuple[int, Any]:
        return tokens, torch.randn(3, side, side, generator=generator)

    return make


def _native(draw: random.Random, generator: torch.Generator) -> tuple[int, Any]:
    """Patches of 4 x 4 pixels in two frames, 2 x 2 of them a token."""
    height, width = draw.choice([(4, 6), (6, 8), (6, 4), (8, 6)])
    pixels = torch.randn(height * width, 3 * 2 * 4 * 4, generator=generator)
    return height * width // 4, (pixels, (1, height, width))


def _native_join(flat: list[Any], pictures: list[int]) -> dict[str, Any]:
    return {
        "pixel_values": torch.cat([pixels for pixels, _ in flat]),
        "image_grid_thw": torch.tensor([grid for _, grid in flat]),
    }


def _stack(flat: list[Any], pictures: list[int]) -> dict[str, Any]:
    return {"pixel_values": torch.stack(flat)}


def _padded(flat: list[Any], pictures: list[int]) -> dict[str, Any]:
    most = max(pictures)
    pixels = torch.zeros(len(pictures), most, *flat[0].shape)
    queue = iter(flat)
    for number, count in enumerate(pictures):
        for place in range(count):
            pixels[number, place] = next(queue)
    return {"pixel_values": pixels}


def _tiled(draw: random.Random, generator: torch.Generator) -> tuple[int, Any]:
    """One of a few sizes: the count of tokens is that of the host's own packing."""
    size, tokens, tiles = draw.choice(
        [((16, 32), 16 + 4 * 9, 3), ((32, 16), 16 + 8 * 5, 3), ((30, 30), 16 + 8 * 9, 5)]
    )
    return tokens, (torch.randn(tiles, 3, 16, 16, generator=generator), size)


def _tiled_join(flat: list[Any], pictures: list[int]) -> dict[str, Any]:
    most = max(pixels.shape[0] for pixels, _ in flat)
    stacked = torch.zeros(len(flat), most, 3, 16, 16)
    for number, (pixels, _) in enumerate(flat):
        stacked[number, : pixels.shape[0]] = pixels
    return {"pixel_values": stacked, "image_sizes": torch.tensor([size for _, size in flat])}


_PICTURES: dict[str, Callable[..., tuple[int, Any]]] = {
    "llava": _square(36, 24),
    "llava_next": _tiled,
    "llava_onevision": _tiled,
    "qwen2_vl": _native,
    "qwen2_5_vl": _native,
    "qwen3_vl": _native,
    "internvl": _square(16, 32),
    "idefics3": _square(16, 32),
    "smolvlm": _square(16, 32),
}
_JOIN: dict[str, Callable[[list[Any], list[int]], dict[str, Any]]] = {
    kind: _stack for kind in KINDS
} | {
    "llava_next": _tiled_join,
    "llava_onevision": _tiled_join,
    "qwen2_vl": _native_join,
    "qwen2_5_vl": _native_join,
    "qwen3_vl": _native_join,
    "idefics3": _padded,
    "smolvlm": _padded,
}


def generate(model: nn.Module, told: dict[str, Any], steps: int) -> tuple[Tensor, Tensor]:
    """Greedy ids and the scores of every step."""
    found = model.generate(  # type: ignore[operator]
        **told,
        max_new_tokens=steps,
        do_sample=False,
        output_logits=True,
        return_dict_in_generate=True,
        pad_token_id=PAD,
    )
    return found.sequences, torch.stack(found.logits, 1)

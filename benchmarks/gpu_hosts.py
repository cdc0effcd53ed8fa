"""Transformers' models at published sizes, or tiny ones, with random weights and a prompt each."""

import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import transformers as library
from torch import Tensor, nn

# Its configuration classes are typed too narrowly for keywords in a dict.
transformers: Any = library
IMAGE, VIDEO, START = 10, 11, 12
Prompt = Mapping[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A host: its class, its configuration at both sizes, and what it is shown."""

    model: str
    config: Callable[[bool], Any]
    """Of the tiny size, or the published one."""
    shown: Callable[[bool, torch.Generator], tuple[int, dict[str, Tensor]]]
    """How many visual tokens a picture or clip is, and its tensors."""
    token: int = IMAGE
    said: str


def build_host(case: Case, *, tiny: bool, device: str, seed: int) -> nn.Module:
    """The model with transformers' own random weights, drawn on the device."""
    torch.manual_seed(seed)
    kind = torch.float32 if device == "cpu" else torch.bfloat16
    with torch.device(device):
        model = getattr(transformers, case.model)._from_config(
            case.config(tiny), attn_implementation="sdpa", dtype=kind
        )
    model.generation_config.eos_token_id = None
    return model.to(device).eval().requires_grad_(False)


def prompt_of(case: Case, model: nn.Module, *, text: int, tiny: bool, seed: int) -> Prompt:
    """A few words, the picture, and the question: `text` ids besides the visual tokens."""
    generator = torch.Generator().manual_seed(seed)
    tokens, shown = case.shown(tiny, generator)
    words = torch.randint(20, 60, (text,), generator=generator).tolist()
    ids = torch.tensor([[*words[:2], *[case.token] * tokens, *words[2:]]])
    weight = next(model.parameters())
    told = {name: t.to(weight.dtype) if t.is_floating_point() else t for name, t in shown.items()}
    if "image_grid_thw" in told:
        told["mm_token_type_ids"] = (ids == case.token).int()
    prompt = {"input_ids": ids, "attention_mask": torch.ones_like(ids), **told}
    return {name: tensor.to(weight.device) for name, tensor in prompt.items()}


def has_flash() -> bool:
    """Whether FlashAttention's package is there."""
    return importlib.util.find_spec("flash_attn") is not None


def _vicuna(tiny: bool) -> Any:
    sizes = _sizes(tiny, 4096, 11008, 32, 32, 32)
    return transformers.LlamaConfig(vocab_size=64 if tiny else 32064, **sizes)


def _qwen2(tiny: bool, **more: Any) -> dict[str, Any]:
    sizes = _sizes(tiny, 3584, 18944, 28, 28, 4)
    return {"vocab_size": 64 if tiny else 152_064, **sizes, **more}


def _sizes(tiny: bool, width: int, inner: int, layers: int, heads: int, kv: int) -> dict[str, Any]:
    return {
        "hidden_size": 32 if tiny else width,
        "intermediate_size": 48 if tiny else inner,
        "num_hidden_layers": 8 if tiny else layers,
        "num_attention_heads": 4 if tiny else heads,
        "num_key_value_heads": (4 if kv == heads else 2) if tiny else kv,
        "max_position_embeddings": 32_768,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
    }


def _tower(tiny: bool, width: int, inner: int, layers: int, side: int) -> dict[str, Any]:
    return {
        "hidden_size": 24 if tiny else width,
        "intermediate_size": 32 if tiny else inner,
        "num_hidden_layers": 8 if tiny else layers,
        "num_attention_heads": 2 if tiny else 16,
        "image_size": 24 if tiny else side,
        "patch_size": 4 if tiny else 14,
    }


def _clip(tiny: bool) -> Any:
    return transformers.CLIPVisionConfig(**_tower(tiny, 1024, 4096, 24, 336))


def _llava(tiny: bool) -> Any:
    return transformers.LlavaConfig(
        vision_config=_clip(tiny), text_config=_vicuna(tiny), image_token_index=IMAGE
    )


def _grids(side: int, most: int) -> list[list[int]]:
    grids = [(r, c) for r in range(1, most + 1) for c in range(1, most + 1) if 1 < r * c <= most]
    return [[r * side, c * side] for r, c in grids]


def _llava_next(tiny: bool) -> Any:
    return transformers.LlavaNextConfig(
        vision_config=_clip(tiny),
        text_config=_vicuna(tiny),
        image_token_index=IMAGE,
        image_grid_pinpoints=_grids(24 if tiny else 336, 4),
    )


def _onevision(tiny: bool) -> Any:
    tower = _tower(tiny, 1152, 4304, 26, 384)
    return transformers.LlavaOnevisionConfig(
        vision_config=transformers.SiglipVisionConfig(**tower, vision_use_head=False),
        text_config=transformers.Qwen2Config(**_qwen2(tiny)),
        image_token_index=IMAGE,
        video_token_index=VIDEO,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
        image_grid_pinpoints=_grids(24 if tiny else 384, 4),
    )


def _qwen2_vl(tiny: bool) -> Any:
    sections = [1, 1, 2] if tiny else [16, 24, 24]
    rope = {"rope_type": "default", "mrope_section": sections, "rope_theta": 1e6}
    text = _qwen2(tiny, rope_parameters=rope)
    vision = {
        "depth": 8 if tiny else 32,
        "embed_dim": 16 if tiny else 1280,
        "hidden_size": text["hidden_size"],
        "num_heads": 2 if tiny else 16,
        "mlp_ratio": 2 if tiny else 4,
        "patch_size": 4 if tiny else 14,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    }
    ids = {"image_token_id": IMAGE, "video_token_id": VIDEO, "vision_start_token_id": START}
    return transformers.Qwen2VLConfig(text_config=text, vision_config=vision, **ids)


def _one(tiny: bool, generator: torch.Generator) -> tuple[int, dict[str, Tensor]]:
    side, patch = (24, 4) if tiny else (336, 14)
    pixels = torch.randn(1, 3, side, side, generator=generator)
    return (side // patch) ** 2, {"pixel_values": pixels}


def _tiles(tiny: bool, generator: torch.Generator) -> tuple[int, dict[str, Tensor]]:
    """Two by two tiles and the whole: five views of n^2 tokens, and a token a line of the tiles."""
    side, patch = (24, 4) if tiny else (336, 14)
    each = side // patch
    pixels = torch.randn(1, 5, 3, side, side, generator=generator)
    sizes = torch.tensor([[2 * side, 2 * side]])
    return 5 * each**2 + 2 * each, {"pixel_values": pixels, "image_sizes": sizes}


def _native(tiny: bool, generator: torch.Generator) -> tuple[int, dict[str, Tensor]]:
    lines, patch = (12, 4) if tiny else (72, 14)
    pixels = torch.randn(lines**2, 3 * 2 * patch**2, generator=generator)
    grid = torch.tensor([[1, lines, lines]])
    return lines**2 // 4, {"pixel_values": pixels, "image_grid_thw": grid}


def _clip_of_frames(tiny: bool, generator: torch.Generator) -> tuple[int, dict[str, Tensor]]:
    """Frames are pooled to half their side, rounded up; one line break ends the clip."""
    side, patch, frames = (24, 4, 3) if tiny else (384, 14, 64)
    each = -(-(side // patch) // 2)
    pixels = torch.randn(1, frames, 3, side, side, generator=generator)
    return frames * each**2 + 1, {"pixel_values_videos": pixels}


CASES: Mapping[str, Case] = {
    "llava-1.5-7b": Case(
        model="LlavaForConditionalGeneration",
        config=_llava,
        shown=_one,
        said="one picture of 336x336: 576 visual tokens",
    ),
    "llava-next-7b": Case(
        model="LlavaNextForConditionalGeneration",
        config=_llava_next,
        shown=_tiles,
        said="672x672: 5 tiles, 2,880 visual tokens and 48 line breaks",
    ),
    "qwen2-vl-7b": Case(
        model="Qwen2VLForConditionalGeneration",
        config=_qwen2_vl,
        shown=_native,
        said="1,008x1,008: 1,296 visual tokens",
    ),
    "llava-onevision-7b-video": Case(
        model="LlavaOnevisionForConditionalGeneration",
        config=_onevision,
        shown=_clip_of_frames,
        token=VIDEO,
        said="64 frames of 196 tokens: 12,544 visual tokens and a line break",
    ),
}
"""By the part of the benchmark that measures it."""

"""Random tiny folders of the classes that chiasm reads, to compare engines on."""

import random
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from chiasm.errors import Misuse

IMAGE = 5
"""Id of the image token."""


def references(slug: str) -> list[str]:
    """The classes of transformers that the catalogue names for a system and chiasm reads.

    Raises:
        Misuse: an unknown system, one without a reference, or one whose reference is not read.
    """
    from chiasm.catalogue.rows import row

    of = row(slug)
    if of.parity == "none":
        raise Misuse(f"{of.slug} has no reference that others wrote; give a folder to compare")
    named = [of.reference] if of.reference in MAKERS else re.findall(r"[A-Z]\w+", of.reference)
    found = [name for name in named if name in MAKERS]
    if not found:
        raise Misuse(
            f"{of.slug}'s reference is {of.reference}, of which chiasm reads no folder; known: "
            f"{', '.join(MAKERS)}"
        )
    return found


def write(name: str, folder: Path, seed: int) -> None:
    """A model of the class with random weights, large enough to tell its parts apart."""
    import transformers

    # Weights are drawn below; the draws of the class itself must not depend on what ran before.
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        # Of classes that the catalogue joins, the last holds the others.
        kind = getattr(transformers, name.split()[-1])
        model = kind(MAKERS[name](random.Random(f"{name}{seed}")))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for path, parameter in model.named_parameters():
            center = 1.0 if "norm" in path and path.endswith("weight") else 0.0
            parameter.copy_(center + 0.3 * torch.randn(parameter.shape, generator=generator))
    verbosity = transformers.logging.get_verbosity()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        model.eval().save_pretrained(folder)
    finally:
        transformers.logging.enable_progress_bar()
        transformers.logging.set_verbosity(verbosity)


def _text(draw: random.Random, **entries: Any) -> dict[str, Any]:
    """Sizes of a text model of the Llama family."""
    kv_heads, groups = draw.choice([(1, 5), (3, 2), (2, 3), (3, 1)])
    heads = kv_heads * groups
    return {
        "vocab_size": draw.choice([53, 61, 71]),
        "hidden_size": heads * draw.choice([4, 6]),
        "intermediate_size": draw.choice([29, 37]),
        "num_hidden_layers": 3,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "head_dim": draw.choice([6, 10]),
        "max_position_embeddings": 211,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
        **entries,
    }


def _tower(draw: random.Random, side: int = 3) -> dict[str, Any]:
    """Sizes of a vision transformer of `side x side` patches."""
    heads = draw.choice([2, 3, 5])
    return {
        "hidden_size": heads * draw.choice([4, 6]),
        "intermediate_size": draw.choice([23, 31]),
        "num_hidden_layers": 3,
        "num_attention_heads": heads,
        "image_size": side * 7,
        "patch_size": 7,
    }


def _llava(draw: random.Random) -> Any:
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig

    return LlavaConfig(
        vision_config=CLIPVisionConfig(**_tower(draw)),
        text_config=LlamaConfig(**_text(draw)),
        image_token_index=IMAGE,
    )


def _perceiver(draw: random.Random) -> Any:
    from transformers import PerceiverConfig

    return PerceiverConfig(
        num_latents=draw.choice([5, 7]),
        d_latents=6 * draw.choice([3, 5]),
        d_model=2 * draw.choice([5, 7]),
        num_blocks=2,
        num_self_attends_per_block=2,
        num_self_attention_heads=draw.choice([2, 3]),
        num_cross_attention_heads=2,
    )


def _align(draw: random.Random) -> Any:
    from transformers import AlignConfig

    heads = draw.choice([2, 3])
    return AlignConfig(
        text_config={
            "vocab_size": 53,
            "hidden_size": heads * draw.choice([5, 7]),
            "num_hidden_layers": 2,
            "num_attention_heads": heads,
            "intermediate_size": draw.choice([23, 29]),
            "max_position_embeddings": 17,
        },
        vision_config={
            "image_size": 31,
            "width_coefficient": 1.0,
            "depth_coefficient": 1.0,
            "kernel_sizes": [3, 5],
            "in_channels": [32, 16],
            "out_channels": [16, 8],
            "strides": [1, 2],
            "num_block_repeats": [1, 1],
            "expand_ratios": [1, 4],
            "hidden_dim": 23,
        },
        projection_dim=8,
    )


def _pixtral(draw: random.Random) -> Any:
    from transformers import PixtralVisionConfig

    return PixtralVisionConfig(**_tower(draw))


def _llava_of_pixtral(draw: random.Random) -> Any:
    from transformers import LlavaConfig, MistralConfig

    return LlavaConfig(
        vision_config=_pixtral(draw),
        text_config=MistralConfig(**_text(draw), sliding_window=None),
        image_token_index=IMAGE,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )


def _vipllava(draw: random.Random) -> Any:
    from transformers import CLIPVisionConfig, LlamaConfig, VipLlavaConfig

    return VipLlavaConfig(
        vision_config=CLIPVisionConfig(**_tower(draw)),
        text_config=LlamaConfig(**_text(draw)),
        image_token_index=IMAGE,
        vision_feature_layer=[-2, 3, 1],
    )


def _aya_vision(draw: random.Random) -> Any:
    from transformers import AyaVisionConfig, Cohere2Config, SiglipVisionConfig

    text = _text(draw)
    del text["head_dim"]  # its heads share the width out evenly
    kinds = ["sliding_attention", "full_attention", "sliding_attention"]

    return AyaVisionConfig(
        vision_config=SiglipVisionConfig(**_tower(draw, side=4), vision_use_head=False),
        text_config=Cohere2Config(**text, sliding_window=4, layer_types=kinds),
        image_token_index=IMAGE,
    )


def _idefics2(draw: random.Random) -> Any:
    from transformers import Idefics2Config, MistralConfig

    text = MistralConfig(**_text(draw), sliding_window=None)
    return Idefics2Config(
        vision_config=_tower(draw),
        perceiver_config={
            "hidden_size": text.hidden_size,
            "resampler_n_latents": 3,
            "resampler_depth": 2,
            "resampler_n_heads": 4,
            "resampler_head_dim": 6,
            "num_key_value_heads": 2,
        },
        text_config=text,
        image_token_id=IMAGE,
    )


def _idefics3(draw: random.Random) -> Any:
    from transformers import Idefics3Config, LlamaConfig

    text = LlamaConfig(**_text(draw))
    return Idefics3Config(
        vision_config=_tower(draw, side=4), text_config=text, image_token_id=IMAGE
    )


def _smolvlm(draw: random.Random) -> Any:
    from transformers import LlamaConfig, SmolVLMConfig

    text = LlamaConfig(**_text(draw))
    return SmolVLMConfig(vision_config=_tower(draw, side=4), text_config=text, image_token_id=IMAGE)


def _ovis2(draw: random.Random) -> Any:
    from transformers import Ovis2Config, Qwen2Config

    text = Qwen2Config(**_text(draw))
    return Ovis2Config(
        vision_config={
            **_tower(draw, side=4),
            "vocab_size": draw.choice([23, 29]),
            "hidden_stride": 2,
        },
        text_config=text,
        image_token_id=IMAGE,
        visual_indicator_token_ids=[6, 7, 8, 9, 10],
        vocab_size=text.vocab_size,
        hidden_size=text.hidden_size,
    )


def _aria(draw: random.Random) -> Any:
    from transformers import AriaConfig

    experts = {"moe_num_experts": 5, "moe_topk": 2, "moe_num_shared_experts": 2}
    return AriaConfig(
        vision_config={"model_type": "idefics3_vision", **_tower(draw)},
        text_config={**_text(draw), **experts},
        image_token_index=IMAGE,
        projector_patch_to_query_dict={9: 4, 20: 7},
    )


def _mamba2(draw: random.Random) -> Any:
    from transformers import Mamba2Config

    groups, expand = draw.choice([1, 2, 3]), draw.choice([1, 2])
    heads, head_width = groups * draw.choice([2, 4]), draw.choice([4, 6, 10])
    return Mamba2Config(
        vocab_size=draw.choice([53, 61, 71]),
        hidden_size=heads * head_width // expand,
        expand=expand,
        num_heads=heads,
        head_dim=head_width,
        n_groups=groups,
        state_size=draw.choice([3, 5, 8]),
        num_hidden_layers=3,
        conv_kernel=draw.choice([2, 3, 4]),
        chunk_size=draw.choice([2, 5, 64]),
        pad_token_id=0,
    )


def _idefics(draw: random.Random) -> Any:
    from transformers import IdeficsConfig

    heads, tower = draw.choice([2, 3]), _tower(draw)
    return IdeficsConfig(
        vocab_size=draw.choice([53, 61]),
        additional_vocab_size=2,
        hidden_size=heads * draw.choice([6, 10]),
        intermediate_size=draw.choice([29, 37]),
        num_hidden_layers=3,
        num_attention_heads=heads,
        cross_layer_interval=draw.choice([1, 3]),
        qk_layer_norms=True,
        use_resampler=True,
        vision_config={"embed_dim": tower.pop("hidden_size"), **tower},
        perceiver_config={
            "resampler_n_latents": 3,
            "resampler_depth": 2,
            "resampler_n_heads": 2,
            "resampler_head_dim": 7,
            "qk_layer_norms_perceiver": True,
        },
    )


def _mllama(draw: random.Random) -> Any:
    from transformers import MllamaConfig

    text, tower = _text(draw), _tower(draw, side=draw.choice([2, 3]))
    del text["head_dim"]  # its heads share the width out evenly
    tower["attention_heads"] = tower.pop("num_attention_heads")
    return MllamaConfig(
        vision_config={
            **tower,
            "num_global_layers": 2,
            "max_num_tiles": 3,
            "supported_aspect_ratios": [[1, 1], [1, 2], [3, 1]],
            "intermediate_layers_indices": [1, 0],
            "vision_output_dim": 3 * tower["hidden_size"],
        },
        text_config={**text, "cross_attention_layers": draw.choice([[1], [0, 2], [1, 2]])},
        image_token_index=text["vocab_size"],
    )


MAKERS: Mapping[str, Callable[[random.Random], Any]] = {
    "LlavaForConditionalGeneration": _llava,
    "PerceiverModel": _perceiver,
    "AlignModel": _align,
    "PixtralVisionModel": _pixtral,
    "PixtralVisionModel + LlavaForConditionalGeneration": _llava_of_pixtral,
    "VipLlavaForConditionalGeneration": _vipllava,
    "AyaVisionForConditionalGeneration": _aya_vision,
    "Idefics2ForConditionalGeneration": _idefics2,
    "Idefics3ForConditionalGeneration": _idefics3,
    "SmolVLMForConditionalGeneration": _smolvlm,
    "Ovis2ForConditionalGeneration": _ovis2,
    "AriaForConditionalGeneration": _aria,
    "Mamba2Model": _mamba2,
    "Mamba2ForCausalLM": _mamba2,
    "IdeficsForVisionText2Text": _idefics,
    "MllamaForConditionalGeneration": _mllama,
}
"""By class: a random tiny config of it."""

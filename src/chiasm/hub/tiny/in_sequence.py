"""Random tiny configs of models whose images stand among the words."""

import random
from typing import Any

from chiasm.hub.tiny.sizes import IMAGE, text_sizes, tower_sizes
from chiasm.hub.tiny.trunks import pixtral


def llava(draw: random.Random) -> Any:
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig

    return LlavaConfig(
        vision_config=CLIPVisionConfig(**tower_sizes(draw)),
        text_config=LlamaConfig(**text_sizes(draw)),
        image_token_index=IMAGE,
    )


def llava_of_pixtral(draw: random.Random) -> Any:
    from transformers import LlavaConfig, MistralConfig

    return LlavaConfig(
        vision_config=pixtral(draw),
        text_config=MistralConfig(**text_sizes(draw), sliding_window=None),
        image_token_index=IMAGE,
        vision_feature_layer=-1,
        vision_feature_select_strategy="full",
    )


def vipllava(draw: random.Random) -> Any:
    from transformers import CLIPVisionConfig, LlamaConfig, VipLlavaConfig

    return VipLlavaConfig(
        vision_config=CLIPVisionConfig(**tower_sizes(draw)),
        text_config=LlamaConfig(**text_sizes(draw)),
        image_token_index=IMAGE,
        vision_feature_layer=[-2, 3, 1],
    )


def aya_vision(draw: random.Random) -> Any:
    from transformers import AyaVisionConfig, Cohere2Config, SiglipVisionConfig

    text = text_sizes(draw)
    del text["head_dim"]  # its heads share the width out evenly
    kinds = ["sliding_attention", "full_attention", "sliding_attention"]

    return AyaVisionConfig(
        vision_config=SiglipVisionConfig(**tower_sizes(draw, side=4), vision_use_head=False),
        text_config=Cohere2Config(**text, sliding_window=4, layer_types=kinds),
        image_token_index=IMAGE,
    )


def idefics2(draw: random.Random) -> Any:
    from transformers import Idefics2Config, MistralConfig

    text = MistralConfig(**text_sizes(draw), sliding_window=None)
    return Idefics2Config(
        vision_config=tower_sizes(draw),
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


def idefics3(draw: random.Random) -> Any:
    from transformers import Idefics3Config, LlamaConfig

    text = LlamaConfig(**text_sizes(draw))
    return Idefics3Config(
        vision_config=tower_sizes(draw, side=4), text_config=text, image_token_id=IMAGE
    )


def smolvlm(draw: random.Random) -> Any:
    from transformers import LlamaConfig, SmolVLMConfig

    text = LlamaConfig(**text_sizes(draw))
    return SmolVLMConfig(
        vision_config=tower_sizes(draw, side=4), text_config=text, image_token_id=IMAGE
    )


def ovis2(draw: random.Random) -> Any:
    from transformers import Ovis2Config, Qwen2Config

    text = Qwen2Config(**text_sizes(draw))
    return Ovis2Config(
        vision_config={
            **tower_sizes(draw, side=4),
            "vocab_size": draw.choice([23, 29]),
            "hidden_stride": 2,
        },
        text_config=text,
        image_token_id=IMAGE,
        visual_indicator_token_ids=[6, 7, 8, 9, 10],
        vocab_size=text.vocab_size,
        hidden_size=text.hidden_size,
    )


def aria(draw: random.Random) -> Any:
    from transformers import AriaConfig

    experts = {"moe_num_experts": 5, "moe_topk": 2, "moe_num_shared_experts": 2}
    return AriaConfig(
        vision_config={"model_type": "idefics3_vision", **tower_sizes(draw)},
        text_config={**text_sizes(draw), **experts},
        image_token_index=IMAGE,
        projector_patch_to_query_dict={9: 4, 20: 7},
    )

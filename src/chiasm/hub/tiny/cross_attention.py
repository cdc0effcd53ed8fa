"""Random tiny configs of models whose layers read images in cross-attention."""

import random
from typing import Any

from chiasm.hub.tiny.sizes import text_sizes, tower_sizes


def idefics(draw: random.Random) -> Any:
    from transformers import IdeficsConfig

    heads, tower = draw.choice([2, 3]), tower_sizes(draw)
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


def mllama(draw: random.Random) -> Any:
    from transformers import MllamaConfig

    text, tower = text_sizes(draw), tower_sizes(draw, side=draw.choice([2, 3]))
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

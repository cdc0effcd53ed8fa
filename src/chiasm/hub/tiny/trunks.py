"""Random tiny configs of encoders, of towers that meet, and of a state-space decoder."""

import random
from typing import Any

from chiasm.hub.tiny.sizes import tower_sizes


def perceiver(draw: random.Random) -> Any:
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


def align(draw: random.Random) -> Any:
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


def pixtral(draw: random.Random) -> Any:
    from transformers import PixtralVisionConfig

    return PixtralVisionConfig(**tower_sizes(draw))


def mamba2(draw: random.Random) -> Any:
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


def vilt(draw: random.Random) -> Any:
    from transformers import ViltConfig

    heads, patch = draw.choice([1, 2, 3, 5]), draw.choice([3, 5, 7])
    return ViltConfig(
        vocab_size=draw.choice([53, 61, 71]),
        type_vocab_size=draw.choice([2, 3]),
        modality_type_vocab_size=draw.choice([2, 3]),
        max_position_embeddings=draw.choice([17, 23]),
        hidden_size=heads * draw.choice([4, 6, 10]),
        num_hidden_layers=draw.choice([1, 2, 3]),
        num_attention_heads=heads,
        intermediate_size=draw.choice([23, 31]),
        hidden_act=draw.choice(["gelu", "relu", "silu"]),
        layer_norm_eps=draw.choice([1e-12, 1e-5]),
        image_size=patch * draw.choice([2, 3, 4]),
        patch_size=patch,
        qkv_bias=draw.choice([True, False]),
        max_image_length=draw.choice([-1, 3, 5]),
    )

"""Sizes that every random tiny config shares: primes, grouped heads, three layers."""

import random
from typing import Any

IMAGE = 5
"""Id of the image token."""


def text_sizes(draw: random.Random, **entries: Any) -> dict[str, Any]:
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


def tower_sizes(draw: random.Random, side: int = 3) -> dict[str, Any]:
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

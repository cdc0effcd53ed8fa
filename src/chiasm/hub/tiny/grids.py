"""Random tiny configs of Qwen2-VL and Qwen2.5-VL: image grids on three rotary axes."""

import random
from typing import Any

from chiasm.hub.tiny.sizes import IMAGE, text_sizes


def qwen2_vl(draw: random.Random) -> Any:
    from transformers import Qwen2VLConfig

    text, heads = _with_axes(draw), draw.choice([1, 2, 3])
    vision = {
        "embed_dim": heads * draw.choice([4, 8]),
        "hidden_size": text["hidden_size"],
        "mlp_ratio": draw.choice([2, 3]),
    }
    return Qwen2VLConfig(vision_config={**_grid(draw, heads), **vision}, **_told(draw, text))


def qwen2_5_vl(draw: random.Random) -> Any:
    from transformers import Qwen2_5_VLConfig

    text, heads = _with_axes(draw), draw.choice([1, 2, 3])
    grid = _grid(draw, heads)
    # A window is as wide as one merged token, or as two.
    window = grid["patch_size"] * grid["spatial_merge_size"] * draw.choice([1, 2])
    vision = {
        "hidden_size": heads * draw.choice([4, 8]),
        "out_hidden_size": text["hidden_size"],
        "intermediate_size": draw.choice([19, 23]),
        "window_size": window,
        "fullatt_block_indexes": draw.choice([[0], [1], [0, 2]]),
    }
    return Qwen2_5_VLConfig(vision_config={**grid, **vision}, **_told(draw, text))


def _with_axes(draw: random.Random) -> dict[str, Any]:
    """A text model whose heads share their frequencies out among (time, row, column)."""
    sizes = text_sizes(draw)
    del sizes["head_dim"]  # its heads share the width out evenly
    sections = draw.choice([[1, 1, 1], [2, 2, 1], [1, 2, 2], [3, 1, 1], [2, 3, 2]])
    sizes["hidden_size"] = sizes["num_attention_heads"] * 2 * sum(sections)
    sizes["rms_norm_eps"] = draw.choice([1e-6, 1e-5])
    sizes["rope_parameters"] = {
        "rope_type": "default",
        "rope_theta": draw.choice([1e2, 1e4, 1e6]),
        "mrope_section": sections,
    }
    return sizes


def _grid(draw: random.Random, heads: int) -> dict[str, Any]:
    """Sizes of a tower that takes the patches of all images in a row."""
    return {
        "depth": 3,
        "num_heads": heads,
        "patch_size": draw.choice([2, 3]),
        "temporal_patch_size": draw.choice([1, 2]),
        "spatial_merge_size": draw.choice([1, 2, 3]),
    }


def _told(draw: random.Random, sizes: dict[str, Any]) -> dict[str, Any]:
    """The text model, the ids of images and videos, and whether the head is tied."""
    return {
        "text_config": sizes,
        "image_token_id": IMAGE,
        "video_token_id": IMAGE + 1,
        "vision_start_token_id": IMAGE + 2,
        "vision_end_token_id": IMAGE + 3,
        "tie_word_embeddings": draw.choice([True, False]),
    }

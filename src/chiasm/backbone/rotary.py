"""Rotary positions of a host."""

import torch
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from chiasm.layers import Rotary
from chiasm.spec.host import Host


def rotary_of(host: Host) -> Rotary:
    """Rotary frequencies of a host; scaled kinds (llama3, yarn, …) are transformers' own."""
    scaling, sections, pairs = dict(host.rope_scaling), host.rope_sections, host.rope_interleaved
    if not scaling:
        exponents = torch.arange(0, host.head_width, 2, dtype=torch.float32) / host.head_width
        frequencies = 1.0 / host.rope_theta**exponents
        return Rotary(frequencies, sections=sections, interleaved=pairs)
    from transformers import LlamaConfig

    config = LlamaConfig(
        hidden_size=host.heads * host.head_width,  # LlamaConfig wants a multiple of the heads
        num_attention_heads=host.heads,
        head_dim=host.head_width,
        max_position_embeddings=host.max_positions,
        rope_parameters={"rope_theta": host.rope_theta, **scaling},
    )
    # transformers computes them on one named device, whatever the default (cost builds on meta).
    with torch.device("cpu"):
        frequencies, scale = ROPE_INIT_FUNCTIONS[scaling["rope_type"]](config, torch.device("cpu"))
    frequencies = frequencies.to(torch.get_default_device())
    return Rotary(frequencies, scale=scale, sections=sections, interleaved=pairs)

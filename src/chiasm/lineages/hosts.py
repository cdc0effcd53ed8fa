"""Published hosts, as sizes."""

from dataclasses import replace

from chiasm.spec import Host

NANO = Host(
    vocabulary=512,
    width=128,
    depth=3,
    heads=4,
    kv_heads=4,
    head_width=32,
    ff_width=256,
    query_key_norm=True,
    tied_head=True,
    max_positions=2048,
    initial_std=128**-0.5,
    embedding_std=1.0,
    family="qwen3",
)
"""Learns within a minute: matrices start at one over the root of their width, and the norm of
queries and keys keeps attention soft while everything else is still random."""

SMOLLM2_135M = Host(
    vocabulary=49_152,
    width=576,
    depth=30,
    heads=9,
    kv_heads=3,
    head_width=64,
    ff_width=1536,
    rope_theta=100_000.0,
    tied_head=True,
    max_positions=8192,
    initial_std=0.041666666666666664,
    weights="smollm2-135m",
)

VICUNA_7B = Host(
    vocabulary=32_000,
    width=4096,
    depth=32,
    heads=32,
    kv_heads=32,
    head_width=128,
    ff_width=11_008,
    max_positions=4096,
)
"""Vicuna-1.5 7B, of Llama-2's sizes."""

MISTRAL_7B = Host(
    vocabulary=32_000,
    width=4096,
    depth=32,
    heads=32,
    kv_heads=8,
    head_width=128,
    ff_width=14_336,
    max_positions=32_768,
    family="mistral",
)

PHI_3_5_MINI = Host(
    vocabulary=32_064,
    width=3072,
    depth=32,
    heads=32,
    kv_heads=32,
    head_width=96,
    ff_width=8192,
    max_positions=131_072,
)
"""Phi-3.5-mini's sizes; its fused projections hold the same numbers of parameters."""

QWEN2_7B = Host(
    vocabulary=152_064,
    width=3584,
    depth=28,
    heads=28,
    kv_heads=4,
    head_width=128,
    ff_width=18_944,
    norm_eps=1e-6,
    rope_theta=1e6,
    query_key_value_bias=True,
    max_positions=32_768,
    family="qwen2",
)

IDEFICS2_MISTRAL = replace(MISTRAL_7B, vocabulary=32_003)
"""Mistral-7B with Idefics2's three further words."""

"""Published hosts, as sizes."""

from dataclasses import replace

from chiasm.spec import Host, StateSpace

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

VICUNA_13B = replace(VICUNA_7B, width=5120, depth=40, heads=40, kv_heads=40, ff_width=13_824)

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

QWEN2_72B = replace(QWEN2_7B, width=8192, depth=80, heads=64, kv_heads=8, ff_width=29_568)

IDEFICS2_MISTRAL = replace(MISTRAL_7B, vocabulary=32_003)
"""Mistral-7B with Idefics2's three further words."""

PHI_3_MINI = replace(PHI_3_5_MINI, max_positions=4096)

LLAMA_3_8B = Host(
    vocabulary=128_256,
    width=4096,
    depth=32,
    heads=32,
    kv_heads=8,
    head_width=128,
    ff_width=14_336,
    rope_theta=500_000.0,
    max_positions=8192,
)

ARIA_25B = Host(
    vocabulary=100_352,
    width=2560,
    depth=28,
    heads=20,
    kv_heads=20,
    head_width=128,
    ff_width=1664,
    norm_eps=1e-6,
    rope_theta=5e6,
    max_positions=65_536,
)
"""Aria's decoder; the feed-forward's width is one expert's."""

OLMOE = Host(
    vocabulary=50_304,
    width=2048,
    depth=16,
    heads=16,
    kv_heads=16,
    head_width=128,
    ff_width=1024,
    max_positions=4096,
)
"""OLMoE-1B-7B's sizes (arXiv 2409.02060), without its norm over all queries and keys; the
feed-forward's width is one expert's."""

MOMA_1_4B = Host(
    vocabulary=65_536,
    width=2048,
    depth=24,
    heads=16,
    kv_heads=16,
    head_width=128,
    ff_width=5504,
    query_key_norm=True,
    max_positions=4096,
)
"""An early-fusion decoder of Chameleon's kind with 1.4 billion parameters while dense; the paper
gives no table of its sizes."""

MAMBA2_2_7B = Host(
    vocabulary=50_288,
    width=2560,
    depth=64,
    heads=0,
    kv_heads=0,
    head_width=0,
    ff_width=0,
    positions="none",
    mixer=StateSpace(heads=80, head_width=64, state=128, chunk=256),
    tied_head=True,
    max_positions=2**20,
    family="mamba2",
)
"""Mamba-2 (arXiv 2405.21060) at its largest published size; a state has no longest context."""

MAMBA2_1_3B = replace(
    MAMBA2_2_7B,
    width=2048,
    depth=48,
    mixer=StateSpace(heads=64, head_width=64, state=128, chunk=256),
)

MAMBA2_130M = replace(
    MAMBA2_2_7B,
    width=768,
    depth=24,
    mixer=StateSpace(heads=24, head_width=64, state=128),
    max_positions=8192,
)

NANO_MAMBA = replace(
    NANO,
    heads=0,
    kv_heads=0,
    head_width=0,
    ff_width=0,
    query_key_norm=False,
    positions="none",
    mixer=StateSpace(heads=8, head_width=32, state=32),
    family="mamba2",
)
"""As wide and deep as NANO, its layers Mamba-2 mixers alone."""

QWEN2_VL_2B = Host(
    vocabulary=151_936,
    width=1536,
    depth=28,
    heads=12,
    kv_heads=2,
    head_width=128,
    ff_width=8960,
    norm_eps=1e-6,
    rope_theta=1e6,
    query_key_value_bias=True,
    tied_head=True,
    max_positions=32_768,
    family="qwen2",
)
"""The text side of Qwen2-VL-2B."""

INTERN_LM2_1_8B = Host(
    vocabulary=92_553,
    width=2048,
    depth=24,
    heads=16,
    kv_heads=8,
    head_width=128,
    ff_width=8192,
    rope_theta=1e6,
    max_positions=32_768,
)
"""The text side of InternVL2-2B; its fused projections hold the same numbers of parameters."""

LLAMA_3_2_1B = Host(
    vocabulary=128_256,
    width=2048,
    depth=16,
    heads=32,
    kv_heads=8,
    head_width=64,
    ff_width=8192,
    rope_theta=500_000.0,
    tied_head=True,
    max_positions=131_072,
)
"""Llama-3.2-1B's sizes, without its scaled rotary positions."""

MPT_1B_HALF = Host(
    vocabulary=50_432,
    width=2048,
    depth=12,
    heads=16,
    kv_heads=16,
    head_width=128,
    ff_width=8192,
    activation="gelu",
    gated=False,
    norm="layer-without-bias",
    tied_head=True,
    max_positions=2048,
)
"""The lower 12 of MPT-1B's 24 layers, with rotary positions for its ALiBi."""


def learned_places(host: Host, longest: int) -> Host:
    """The host with a learned vector for each of so many places, added to the words."""
    return replace(host, positions="learned", max_positions=longest)


OPT_2_7B = learned_places(
    Host(
        vocabulary=50_272,
        width=2560,
        depth=32,
        heads=32,
        kv_heads=32,
        head_width=80,
        ff_width=10_240,
        norm="layer",
        query_key_value_bias=True,
        output_bias=True,
        mlp_bias=True,
        gated=False,
        activation="relu",
        tied_head=True,
    ),
    2048,
)
"""OPT-2.7B (arXiv 2205.01068); its table of places has two unused rows more."""

LLAMA_3_2_3B = replace(LLAMA_3_2_1B, width=3072, depth=28, heads=24, head_width=128)
"""Llama-3.2-3B's sizes, likewise."""

COMMAND_R7B = Host(
    vocabulary=256_000,
    width=4096,
    depth=32,
    heads=32,
    kv_heads=8,
    head_width=128,
    ff_width=14_336,
    rope_theta=50_000.0,
    rope_interleaved=True,
    rope_layers=(True, True, True, False) * 8,
    windows=(4096, 4096, 4096, None) * 8,
    arrangement="parallel",
    norm="layer-without-bias",
    logit_scale=0.25,
    tied_head=True,
    max_positions=8192,
    family="cohere2",
)
"""Command R7B: three layers of a window, whose queries and keys turn, then one that sees all."""
TINY_LLAMA_1_1B = Host(
    vocabulary=32_000,
    width=2048,
    depth=22,
    heads=32,
    kv_heads=4,
    head_width=64,
    ff_width=5632,
    max_positions=2048,
)
"""TinyLlama-1.1B (arXiv 2401.02385)."""

LLAMA_2_70B = replace(VICUNA_7B, width=8192, depth=80, heads=64, kv_heads=8, ff_width=28_672)
"""Llama-2-70B (arXiv 2307.09288)."""
PHI_2 = Host(
    vocabulary=51_200,
    width=2560,
    depth=32,
    heads=32,
    kv_heads=32,
    head_width=80,
    ff_width=10_240,
    norm="layer",
    arrangement="parallel",
    query_key_value_bias=True,
    output_bias=True,
    mlp_bias=True,
    gated=False,
    activation="gelu_new",
    max_positions=2048,
)
"""Phi-2's sizes: one norm before attention and feed-forward, which run side by side. Here whole
heads turn by position, there 32 of 80 entries; its head's bias is left out."""

XMODEL_1_1B = replace(
    VICUNA_7B, width=2048, depth=24, heads=32, kv_heads=4, head_width=64, ff_width=5632
)
"""Xmodel-LM (arXiv 2406.02856)."""

MOBILE_LLAMA_1_4B = replace(
    VICUNA_7B,
    width=2048,
    depth=24,
    heads=16,
    kv_heads=16,
    ff_width=5632,
    max_positions=2048,
)
"""MobileLLaMA-1.4B (arXiv 2312.16886)."""

MISTRAL_NEMO_12B = replace(
    MISTRAL_7B, vocabulary=131_072, width=5120, depth=40, rope_theta=1e6, max_positions=131_072
)

SMOLLM2_1_7B = Host(
    vocabulary=49_152,
    width=2048,
    depth=24,
    heads=32,
    kv_heads=32,
    head_width=64,
    ff_width=8192,
    rope_theta=130_000.0,
    tied_head=True,
    max_positions=8192,
)

QWEN_7B = Host(
    vocabulary=151_936,
    width=4096,
    depth=32,
    heads=32,
    kv_heads=32,
    head_width=128,
    ff_width=11_008,
    norm_eps=1e-6,
    query_key_value_bias=True,
    max_positions=8192,
    family="qwen2",
)
"""Qwen-7B's sizes, the text side of Qwen-VL; its fused projections hold the same numbers."""

QWEN_14B = replace(
    QWEN_7B, vocabulary=152_064, width=5120, depth=40, heads=40, kv_heads=40, ff_width=13_696
)

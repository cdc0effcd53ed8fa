"""MoDA: the instruction modulates the channels of every visual token before the host reads it."""

from dataclasses import replace

from chiasm.connectors import Modulated
from chiasm.lineages.hosts import LLAMA_3_8B
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, System, derive, register

ADAPTER = Modulated(heads=16, head_width=256, ff_width=1024)

SYSTEM = register(
    System(
        slug="moda",
        no=223,
        parent="llava-1.5",
        card=Card(
            paper="MoDA: Modulation Adapter for Fine-Grained Visual Grounding in Instructional "
            "MLLMs (arXiv 2506.01850)",
            differs="after the MLP, V becomes V * sigmoid(W F(V, T)): F lets V read the words T "
            "that are asked, and its mask is per token and channel",
            claim="against the same model without it: MMVP 24 to 36 on LLaVA-1.5-7B, ScienceQA "
            "77.1 to 81.9 on LLaVA-MoRE-8B; 3.7% more parameters, under 1% more FLOPs",
            checks=(
                "302.1M parameters at width 4096, 3.76% of 8.03B",
                "masks lie in (0, 1), and no token grows",
                "another question gives other tokens",
                "answers and padding change no token",
                "with a mask of ones it is LLaVA-1.5",
            ),
            story=(
                "padded words are masked, which the release leaves out",
                "dropout acts on what each step adds, not on attention weights",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(connector=replace(ADAPTER, heads=4, head_width=32, ff_width=64)),
            smol=dict(connector=replace(ADAPTER, heads=9, head_width=64, ff_width=256)),
            paper=dict(connector=ADAPTER, host=LLAMA_3_8B),
        ),
    )
)

"""What systems share whose host is adapted, or whose media rows have weights of their own."""

from dataclasses import replace

from chiasm.connectors import PerceiverResampler
from chiasm.encoders import AdaptedEncoder, WithResampler
from chiasm.experts import (
    AdaptedLinears,
    AdaptedWeights,
    Bottleneck,
    HeadGate,
    LoRA,
    Place,
    TaskLoRA,
    VisualMemory,
)
from chiasm.experts.adapters import ATTENTION, EVERY_SITE
from chiasm.lineages.drawing import DRAWN_FROM_SCRATCH, JOINT, LATENT
from chiasm.lineages.encoders import CLIP_L_336, EVA_CLIP_G_224
from chiasm.objectives import NextToken
from chiasm.spec import Stage, Teaching
from chiasm.stream import MEDIA, TEXT

VISUAL_ATTENTION = Teaching(
    objective=NextToken(),
    stages=(
        Stage(name="alignment", trained=("connector",), learning_rate=1e-3, share=0.2, batch=256),
        Stage(
            name="visual experts",
            trained=("encoder", "connector", "experts"),
            learning_rate=2e-5,
            share=0.4,
            copies=True,
        ),
        Stage(
            name="instruction",
            trained=("connector", "experts", "decoder", "head"),
            learning_rate=2e-5,
            share=0.4,
            batch=128,
        ),
    ),
)
"""The projector, then copies of attention for media rows beside a frozen text path, then all
(MammothModa, arXiv 2406.18193); rates and shares are ours.
"""

SMALL_VISUAL_ATTENTION = replace(
    VISUAL_ATTENTION,
    stages=tuple(
        replace(stage, batch=32, trained=tuple(p for p in stage.trained if p != "encoder"))
        for stage in VISUAL_ATTENTION.stages
    ),
)
"""The same beside a packaged encoder, which stays as it is."""


def one_stage(*trained: str, learning_rate: float, batch: int = 32) -> Teaching:
    """One stage in which the named parts learn beside a frozen host and encoder."""
    stage = Stage(name="adapters", trained=trained, learning_rate=learning_rate, batch=batch)
    return Teaching(objective=NextToken(), stages=(stage,))


BLIP_2_TOKENS = WithResampler(
    encoder=EVA_CLIP_G_224,
    resampler=PerceiverResampler(latents=32, depth=6, heads=12, head_width=64, project=True),
    width=768,
)
"""32 tokens of 768 numbers, as BLIP-2's Q-Former gives; a resampler stands in for it, since ours
also reads the question."""


def pill(hidden: int) -> AdaptedWeights:
    """Gated bottlenecks before attention, of all rows, and before the feed-forward, of pictures and
    of words; a gate on the values of pictures (PILL, arXiv 2311.02126).
    """
    shared = Bottleneck(
        place=Place.BEFORE_ATTENTION, hidden=hidden, gated=True, activation="silu", bias=False
    )
    apart = replace(shared, place=Place.BEFORE_FEED_FORWARD, kinds=(TEXT, MEDIA))
    return AdaptedWeights((), (shared, apart, HeadGate(rows=MEDIA)))


def remembering(rank: int) -> VisualMemory:
    """A memory of a quarter of the width beside every feed-forward, and LoRA on every matrix."""
    lora = LoRA(sites=EVERY_SITE, rank=rank, alpha=float(rank), dropout=0.0)
    return VisualMemory(narrower=4, trust=2.0, adapters=(lora,))


def sliding(rank: int) -> AdaptedWeights:
    """A low-rank pair for drawing, one for writing, one for both, half and half (Slide-LoRA,
    TextHarmony, arXiv 2407.16364).
    """
    pairs = TaskLoRA(
        sites=ATTENTION,
        tasks=(~LATENT, LATENT),
        rank=rank,
        alpha=float(rank),
        dropout=0.0,
        weight=0.5,
    )
    return AdaptedWeights((pairs,))


CLIP_L_896 = AdaptedEncoder(
    encoder=replace(
        CLIP_L_336,
        settings=tuple((n, 896 if n == "image_size" else v) for n, v in CLIP_L_336.settings),
    ),
    adapters=AdaptedLinears(
        adapter=LoRA(sites=ATTENTION, rank=32, alpha=32.0, dropout=0.0),
        names=("q_proj", "k_proj", "v_proj", "out_proj"),
    ),
)
"""CLIP-L at 896 pixels, with an ordinary LoRA."""

SLIDING_FROM_SCRATCH = replace(
    DRAWN_FROM_SCRATCH,
    stages=tuple(replace(stage, copies=False) for stage in DRAWN_FROM_SCRATCH.stages),
)
"""Pairs that are added to the host's weights copy none of them."""

TEXT_HARMONY = Teaching(
    objective=JOINT,
    stages=(
        Stage(
            name="mixed tasks",
            trained=("connector", "experts", "flow"),
            learning_rate=1e-4,
            batch=64,
            unprompted=0.1,
        ),
    ),
)
"""Low-rank pairs, resampler and the ends of the flow beside a frozen host; the rate is ours."""

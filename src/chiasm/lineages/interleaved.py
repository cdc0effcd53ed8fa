"""What an embedder of interleaved pages is made of: DeepSeek-VL, sizes, pages, as values."""

from dataclasses import replace
from typing import Any

from chiasm.data.pixels import SIGLIP
from chiasm.embedders.batches import Batches
from chiasm.embedders.pages import Pages, PageTask
from chiasm.embedders.stages import Prompt, Tower
from chiasm.embedders.stages.schedules import EveryPair
from chiasm.encoders import TransformersVision
from chiasm.lineages.multimodal_embedders import (
    ADAPTED,
    NANO_ANSWERS,
    SCRATCH,
    SOFT,
    lora,
    one_sequence,
    read_by,
    tower,
)
from chiasm.retrieval.mining import OnePerBlock
from chiasm.spec import Answers, Fixed, Host, Scale, Stage
from chiasm.spec.embedder import EmbedderAnswers

SIGLIP_L_384 = TransformersVision(
    model_type="siglip_vision_model",
    settings=(
        ("hidden_size", 1024),
        ("image_size", 384),
        ("intermediate_size", 4096),
        ("num_attention_heads", 16),
        ("num_hidden_layers", 24),
        ("patch_size", 16),
    ),
    taps=(),
)
"""SigLIP L/16 at 384 pixels, its final output: 24 x 24 tokens."""

DEEPSEEK_VL_1_3B = replace(
    NANO_ANSWERS,
    views=Fixed(384, 384),
    pixels=SIGLIP,
    encoder=SIGLIP_L_384,
    host=Host(
        vocabulary=102_400,
        width=2048,
        depth=24,
        heads=16,
        kv_heads=16,
        head_width=128,
        ff_width=5504,
        norm_eps=1e-6,
        max_positions=16_384,
    ),
    template="chatml",
)
"""DeepSeek-VL-1.3B (arXiv 2403.05525) without its head: 576 tokens a picture through an MLP."""

MINED = Batches(
    tasks=(PageTask(),),
    pages=Pages(most=3),
    mining=OnePerBlock(count=1, block=32),
    negatives=1,
)
"""One of the 32 hardest wrong documents beside those of the batch."""


def averaged(
    encode: dict[Scale, tuple[Tower, ...]], sides: dict[Scale, int]
) -> dict[Scale, tuple[Tower, ...]]:
    """The one tower of each scale, pictures averaged to so many tokens a side unless asked."""
    made: dict[Scale, tuple[Tower, ...]] = {}
    for scale, (one,) in encode.items():
        encoder: Any = one.encoder
        made[scale] = (replace(one, encoder=encoder.at_side(sides[scale])),)
    return made


def pages_of(
    paper: Answers,
    prompt: Prompt,
    *,
    objective: Any,
    stages: tuple[Stage, ...],
    sides: dict[Scale, int],
    sizes: dict[Scale, tuple[int, ...]],
) -> dict[Scale, EmbedderAnswers]:
    """Pages in one sequence, taught at all pairs of `sizes`; with negatives from the second stage
    on at nano and smol, from the start at paper scale.
    """
    encode = read_by(paper, lora(16, 32.0), prompt)
    encode[Scale.PAPER] = (tower(paper, prompt),)
    small = tuple(
        (replace(one, share=0.7), replace(one, name="mined", share=0.3, batch=one.batch // 2))
        for one in (SCRATCH, ADAPTED)
    )
    made = one_sequence(
        averaged(encode, sides),
        objective=objective,
        small=SOFT,
        stages=stages,
        nano_stages=small[0],
        smol_stages=small[1],
        batches=MINED,
    )
    start = {Scale.NANO: 1, Scale.SMOL: 1, Scale.PAPER: 0}
    return {
        scale: replace(
            answers,
            batches=replace(
                answers.batches, sizes=EveryPair(sizes=sizes[scale]), mined_from=start[scale]
            ),
        )
        for scale, answers in made.items()
    }

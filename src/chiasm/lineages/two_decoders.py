"""Two decoders in lock step: words in one, codes in the other (Zipper, arXiv 2405.18669)."""

from dataclasses import replace

from chiasm.connectors import Unchanged
from chiasm.data.pixels import Pixels
from chiasm.encoders import ColourCodes
from chiasm.fusion import LockStepReads
from chiasm.lineages.hosts import LLAMA_3_2_1B, NANO, SMOLLM2_135M
from chiasm.lineages.teaching import beside_words
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Host, derive
from chiasm.visibility import BeforeItem, Causal, ItemsSoFar, Sight

PLAIN = Pixels(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))

CODES_NANO = replace(NANO, width=96, heads=3, kv_heads=3, ff_width=192, initial_std=96**-0.5)
CODES_SMOL = replace(
    SMOLLM2_135M,
    vocabulary=512,
    width=384,
    depth=12,
    heads=6,
    kv_heads=6,
    ff_width=1024,
    weights=None,
)
CODES_PAPER = replace(
    LLAMA_3_2_1B, vocabulary=1000, width=1024, depth=12, heads=16, kv_heads=16, ff_width=2816
)
"""The paper names no sizes of its towers; these are ours."""


def zipped(tower: Host, *, every: int, tower_every: int) -> LockStepReads:
    """Each tower reads what the other holds from earlier on; a code, the codes before it."""
    return LockStepReads(
        tower=tower,
        rule=Causal(),
        back=BeforeItem(),
        every=every,
        tower_every=tower_every,
        heads=tower.heads,
        head_width=tower.head_width,
    )


TWO_DECODERS = derive(
    VISION_LANGUAGE,
    every=dict(
        pixels=PLAIN,
        connector=Unchanged(),
        visibility=Sight(sequence=Causal(), memory=ItemsSoFar()),
    ),
    nano=dict(encoder=ColourCodes(8, 8), fusion=zipped(CODES_NANO, every=1, tower_every=1)),
    smol=dict(
        encoder=ColourCodes(16, 8),
        fusion=zipped(CODES_SMOL, every=5, tower_every=2),
        teaching=beside_words(learning_rate=3e-4),
    ),
    paper=dict(
        encoder=ColourCodes(14, 10),
        fusion=zipped(CODES_PAPER, every=4, tower_every=3),
        teaching=beside_words(learning_rate=1e-4),
        host=LLAMA_3_2_1B,
        template="chatml",
    ),
)
"""Codes of colours from scratch; beside a packaged decoder; beside a decoder of a billion."""

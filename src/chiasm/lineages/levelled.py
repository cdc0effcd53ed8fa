"""Several of an encoder's layers, each through a map of its own, at three scales."""

from dataclasses import replace

from chiasm.connectors import LevelMaps
from chiasm.data.pixels import CLIP
from chiasm.encoders import Levels
from chiasm.experts import FineGrained
from chiasm.fusion import GatedCrossAttention, HierarchicalReads
from chiasm.lineages.adapted import one_stage
from chiasm.lineages.encoders import EVA_CLIP_E_448, LAYERED_NANO, LAYERED_SMOL
from chiasm.lineages.vision_language import LLAVA_1_5, VISION_LANGUAGE
from chiasm.spec import Fixed, Stage, Teaching, derive
from chiasm.visibility import Causal, PrecedingItem, Sight

_READERS = ("connector", "fusion")
EVLM = Teaching(
    objective=LLAVA_1_5.objective,
    stages=(
        Stage(name="pre-training", trained=_READERS, learning_rate=1e-4, share=0.8),
        Stage(name="several tasks", trained=("encoder", *_READERS), learning_rate=5e-5, share=0.1),
        Stage(name="instruction", trained=_READERS, learning_rate=1e-5, share=0.1),
    ),
)
"""Pairs and pages beside a frozen encoder and host, then several tasks with the encoder, then
instructions (EVLM, arXiv 2407.14177); here all at the higher resolution, rates and shares are ours,
and the host stays frozen."""

LEVELLED = derive(
    VISION_LANGUAGE,
    every=dict(visibility=Sight(sequence=Causal(), memory=PrecedingItem())),
    nano=dict(
        encoder=Levels(base=LAYERED_NANO, taps=(1, 2)),
        connector=LevelMaps(levels=2),
    ),
    smol=dict(
        encoder=Levels(base=LAYERED_SMOL, taps=(2, 4, 6)),
        connector=LevelMaps(levels=3),
        teaching=one_stage("encoder", *_READERS, learning_rate=5e-4),
    ),
    paper=dict(
        views=Fixed(448, 448),
        pixels=replace(CLIP, fit="squash"),
        encoder=replace(EVA_CLIP_E_448, taps=(-36, -31, -26, -21, -16, -11, -6, -1)),
        connector=LevelMaps(levels=8),
        teaching=EVLM,
    ),
)
"""Two layers, three, and every fifth of the last 40 of EVA-CLIP-E's 64."""


def levelled_reads(
    levels: int, *, rows: int, every: int, heads: tuple[int, int], cut: tuple[int, int], hidden: int
) -> HierarchicalReads:
    """Blocks before every `every`-th layer; heads are (how many, how wide); `cut` is (copies,
    parts of each), of which as many as there are parts are active.
    """
    copies, parts = cut
    return HierarchicalReads(
        read=GatedCrossAttention(every=every, heads=heads[0], head_width=heads[1]),
        levels=levels,
        rows=rows,
        think=FineGrained(copies=copies, parts=parts, active=parts, hidden=hidden),
    )

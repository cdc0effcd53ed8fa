"""A narrow stack over words and raw patches alike, then a language model (arXiv 2503.14694)."""

from dataclasses import replace

from chiasm.connectors import TiledPatches
from chiasm.data.pixels import LLAVA
from chiasm.encoders import RawPatches
from chiasm.fusion import TwoWidths
from chiasm.lineages.hosts import NANO, SMOLLM2_135M, VICUNA_7B
from chiasm.lineages.single_stream import VIT_B
from chiasm.lineages.teaching import everything
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import FittedTiles, derive
from chiasm.visibility import Causal, Everything, Sight, WithinBlock

AHEAD_NANO = replace(
    NANO,
    width=96,
    depth=2,
    heads=3,
    kv_heads=3,
    ff_width=192,
    norm="layer",
    embedding_norm=True,
    final_norm=False,
    initial_std=96**-0.5,
)
AHEAD_SMOL = replace(
    VIT_B,
    width=384,
    depth=6,
    heads=6,
    kv_heads=6,
    ff_width=1536,
    positions="rotary",
    embedding_norm=True,
    final_norm=False,
)
AHEAD_PAPER = replace(
    AHEAD_SMOL,
    width=1024,
    depth=24,
    heads=16,
    kv_heads=16,
    ff_width=4096,
    activation="quick_gelu",
    norm_eps=1e-5,
    max_positions=4096,
)
"""CLIP-ViT-L's layers, its teacher's; words and patches turn by one rotary position, our choice."""

TWO_WIDTHS = derive(
    VISION_LANGUAGE,
    every=dict(visibility=Sight(sequence=Causal() | WithinBlock(), memory=Everything())),
    nano=dict(
        views=FittedTiles(side=32, most=4, patch=8),
        encoder=RawPatches(patch=8),
        connector=TiledPatches(tile=4, most=64, initial_std=0.1),
        fusion=TwoWidths(ahead=AHEAD_NANO),
    ),
    smol=dict(
        views=FittedTiles(side=224, most=2, patch=16),
        encoder=RawPatches(patch=16),
        connector=TiledPatches(tile=14, most=392),
        fusion=TwoWidths(ahead=AHEAD_SMOL),
        teaching=everything(learning_rate=1e-4),
        host=SMOLLM2_135M,
    ),
    paper=dict(
        pixels=replace(LLAVA, fit="squash"),
        views=FittedTiles(side=336, most=6, patch=14),
        encoder=RawPatches(patch=14),
        connector=TiledPatches(tile=24, most=2304),
        fusion=TwoWidths(ahead=AHEAD_PAPER),
        teaching=everything(learning_rate=2e-5),
        host=replace(VICUNA_7B, tied_head=True),
        template="vicuna",
    ),
)
"""The host's table of words only scores them: words enter in the width of what is ahead."""

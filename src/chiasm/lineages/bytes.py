"""Words and pixels as bytes of one stream: sizes, pixels and teaching."""

from dataclasses import replace

from chiasm.data.pixels import Pixels
from chiasm.lineages.hosts import NANO
from chiasm.lineages.vision_language import SCRATCH

BYTES = Pixels(mean=(0.0, 0.0, 0.0), std=(1 / 255, 1 / 255, 1 / 255))
"""Values from 0 to 255, as they are stored."""

SMALL = replace(
    NANO,
    vocabulary=262,
    width=96,
    heads=3,
    kv_heads=3,
    depth=2,
    tied_head=False,
    max_positions=2**21,
)
"""256 bytes and 6 special tokens. A byte must not score itself at the start: no tied head."""

LARGE = replace(SMALL, width=1024, heads=16, kv_heads=16, head_width=64, ff_width=2816, depth=8)

FEW = replace(SCRATCH, stages=(replace(SCRATCH.stages[0], batch=4, questions=3),))
"""Small steps: every question reads its image's bytes anew."""

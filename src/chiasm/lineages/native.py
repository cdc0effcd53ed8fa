"""Models taught from nothing on pictures and words at once: early, late and sparse fusion."""

from dataclasses import replace

from chiasm.connectors import MLP, Linear
from chiasm.encoders import RawPatches, VisionTransformer
from chiasm.experts import Balance, Router, TopProbabilities, everyone
from chiasm.lineages.expert_language import EXPERT_LANGUAGE, fine_grained
from chiasm.lineages.hosts import LLAMA_3_2_1B
from chiasm.lineages.teaching import everything
from chiasm.spec import Fixed, derive

NATIVE_1B = replace(LLAMA_3_2_1B, vocabulary=50_432, kv_heads=32, tied_head=False)
"""One of 0.3 to 4 billion parameters; the paper's table of sizes was not at hand."""

EARLY = derive(
    EXPERT_LANGUAGE,
    every=dict(connector=Linear()),
    nano=dict(encoder=RawPatches(patch=16)),
    smol=dict(encoder=RawPatches(patch=14), teaching=everything(learning_rate=1e-4)),
    paper=dict(
        views=Fixed(224, 224),
        encoder=RawPatches(patch=14),
        teaching=everything(learning_rate=1e-3),
        host=NATIVE_1B,
        template="prismatic",
    ),
)
"""Linear patches in one decoder: 256 tokens of 14 pixels a side from 224."""

LATE = derive(
    EARLY,
    every=dict(connector=MLP()),
    nano=dict(encoder=VisionTransformer(patch=16, width=64, depth=2, heads=4, ff_width=128)),
    smol=dict(encoder=VisionTransformer(patch=14, width=384, depth=6, heads=6, ff_width=1536)),
    paper=dict(encoder=VisionTransformer(patch=14, width=1024, depth=24, heads=16, ff_width=4096)),
)
"""The same behind an encoder, taught from nothing as well."""

AGNOSTIC = Router(
    eligibility=everyone(8),
    selection=TopProbabilities(1, renormalise=False),
    penalties=(Balance(coefficient=0.01),),
)

SPARSE = derive(EARLY, every=dict(experts=fine_grained(AGNOSTIC, hidden=None, shared=0)))
"""Early fusion whose feed-forwards are eight experts, one a row, from one router for all rows."""

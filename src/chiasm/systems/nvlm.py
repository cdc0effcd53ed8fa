"""NVLM: tagged tiles read by gated cross-attention, their thumbnail in the sequence (form H)."""

from dataclasses import replace

from chiasm.connectors import ShuffleMLP
from chiasm.data.pixels import SIGLIP
from chiasm.fusion import GatedCrossAttention, ThumbnailInline
from chiasm.lineages.encoders import INTERN_VIT_6B_448
from chiasm.lineages.hosts import QWEN2_72B
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, System, Tiles, derive, register
from chiasm.visibility import Causal, InUnit, OwnTile, Sight

READ = GatedCrossAttention(every=8, heads=8, head_width=64)
SIGHT = Sight(sequence=Causal(), memory=OwnTile() & ~InUnit(5))

SYSTEM = register(
    System(
        slug="nvlm",
        no=229,
        parent="llava-1.5",
        card=Card(
            paper="NVLM: Open Frontier-Class Multimodal LLMs (arXiv 2409.11402)",
            differs="up to 6 tiles and a thumbnail, each behind a text tag; the thumbnail's tokens "
            "take rows, layers read the tiles' by zero-gated cross-attention, a tag its own tile",
            claim="same host and data: D best at OCR, X fastest, H best at reasoning; D-72B: MMMU "
            "59.7, OCRBench 853, text mathematics and code +4.3 over its host",
            checks=(
                "rows of visual tokens at 6 tiles: D 1,792, H 256, X 0",
                "with gates at 0, X is the text model, H the model of the thumbnail",
                "what a tag reads does not depend on other tiles",
            ),
            story=(
                "fusion.inline=0 is form X (tiles and thumbnail read alike), InSequence() form D",
                "which layers read is ours, every 8th; InternViT has CLIP's blocks here",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            every=dict(visibility=SIGHT),
            nano=dict(
                views=Tiles(side=32, most=4),
                fusion=ThumbnailInline(
                    inline=4, read=GatedCrossAttention(every=1, heads=4, head_width=32)
                ),
            ),
            smol=dict(views=Tiles(side=224, most=4), fusion=ThumbnailInline(inline=49, read=READ)),
            paper=dict(
                views=Tiles(side=448, most=6),
                pixels=SIGLIP,
                encoder=INTERN_VIT_6B_448,
                connector=ShuffleMLP(factor=2),
                fusion=ThumbnailInline(inline=256, read=replace(READ, heads=64, head_width=128)),
                visibility=replace(SIGHT, memory=OwnTile() & ~InUnit(7)),
                host=QWEN2_72B,
            ),
        ),
    )
)

"""Inverse-LLaVA: raw vision features join q, k and v of the first layer; no alignment stage."""

from dataclasses import replace

from chiasm.connectors import RawFeatures
from chiasm.experts import AddedVision, LoRA, VisionInside
from chiasm.experts.adapters import EVERY_SITE
from chiasm.fusion import VacantRows
from chiasm.lineages.encoders import CLIP_L_336
from chiasm.lineages.teaching import experts_only
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, System, derive, register

ONE_STAGE = experts_only(learning_rate=2e-4, batch=256)
LOW_RANK = LoRA(sites=EVERY_SITE, rank=128, alpha=256.0, dropout=0.05)

SYSTEM = register(
    System(
        slug="inverse-llava",
        no=1,
        parent="llava-1.5",
        card=Card(
            paper="Inverse-LLaVA: Eliminating Alignment Pre-training Through Text-to-Vision "
            "Mapping (arXiv 2508.12466)",
            differs="no projector: image rows enter as zeros, and the first layer adds a F(v) of "
            "the raw features to its queries, keys and values",
            claim="against LLaVA-1.5-7B LoRA with its 558K alignment stage: 45% less compute, "
            "cognition +27.2%, OCR -21.3%, celebrities -49.5%",
            checks=(
                "an image row holds exactly 0 before the first layer",
                "with a = 0 logits do not depend on pixels",
                "62,939,139 parameters are new at 7B",
                "the text-to-vision form with B = 0 equals the language model on text",
            ),
            story=("F's bias is masked at text rows, where the release adds it as a constant",),
        ),
        scales=derive(
            VISION_LANGUAGE,
            every=dict(connector=RawFeatures(), fusion=VacantRows()),
            nano=dict(experts=VisionInside(first=AddedVision(width=128), others=())),
            smol=dict(
                experts=VisionInside(first=AddedVision(width=1280), others=()),
                teaching=ONE_STAGE,
            ),
            paper=dict(
                encoder=replace(CLIP_L_336, taps=(-1,)),
                experts=VisionInside(first=AddedVision(width=1024), others=(LOW_RANK,)),
                teaching=ONE_STAGE,
            ),
        ),
    )
)

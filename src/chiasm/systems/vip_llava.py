"""ViP-LLaVA: marks drawn on the pixels, read from shallow and deep layers of the encoder."""

from dataclasses import replace

from chiasm.connectors import NormedMLP
from chiasm.encoders import Levels
from chiasm.lineages.connecting import VIP_LLAVA
from chiasm.lineages.encoders import CLIP_L_336, LAYERED_NANO, LAYERED_SMOL
from chiasm.lineages.vision_language import SCRATCH, VISION_LANGUAGE
from chiasm.spec import Card, System, derive, register

SYSTEM = register(
    System(
        slug="vip-llava",
        no=88,
        parent="llava-1.5",
        card=Card(
            paper="ViP-LLaVA: Making Large Multimodal Models Understand Arbitrary Visual Prompts "
            "(arXiv 2312.00784)",
            differs="five layers of the encoder side by side, a LayerNorm, then the MLP; regions "
            "are pointed out by marks blended into the picture, never by coordinates",
            claim="above models that are told coordinates or regions on Visual7W, PointQA, VCR and "
            "ViP-Bench",
            checks=(
                "the connector holds 37,767,168 parameters at 7B",
                "logits equal transformers' VipLlavaForConditionalGeneration given equal weights",
                "a mark of opacity 0 leaves the picture as it is",
                "576 tokens enter, as before",
                "moving a mark changes only the patches that it covered or covers",
            ),
            story=(
                "the data set scenes-marked asks what stands under a mark (chiasm.data)",
                "shares of the three stages are ours; nano and smol learn from nothing",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            every=dict(connector=NormedMLP()),
            nano=dict(encoder=Levels(base=LAYERED_NANO, taps=(0, 1, 2))),
            smol=dict(encoder=Levels(base=LAYERED_SMOL, taps=(1, 3, 5, 6)), teaching=SCRATCH),
            paper=dict(encoder=replace(CLIP_L_336, taps=(-2, -5, -8, -11, 6)), teaching=VIP_LLAVA),
        ),
    )
)

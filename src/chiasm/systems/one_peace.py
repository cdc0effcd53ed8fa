"""ONE-PEACE: one attention for every modality, and a gated feed-forward of its own for each."""

from dataclasses import replace

from chiasm.connectors import Linear
from chiasm.encoders import VisionTransformer
from chiasm.experts import WeightsByGroup
from chiasm.fusion import InSequence
from chiasm.lineages.single_stream import NANO_TRUNK, SINGLE_STREAM, VIT_B
from chiasm.spec import Card, Fixed, System, derive, register
from chiasm.spec.slots import NormSite, Site
from chiasm.stream import MEDIA, TEXT

WIDE_STEM = (192, 384, 768, 1536)
LARGE = VisionTransformer(patch=16, width=1536, depth=0, heads=4, ff_width=256, stem=WIDE_STEM)
STEM = replace(LARGE, width=128, stem=(32, 64, 128, 128), position_scale=0.1)
WIDE = dict(vocabulary=50_265, width=1536, depth=40, heads=24, kv_heads=24, ff_width=6144)

SYSTEM = register(
    System(
        slug="one-peace",
        no=206,
        parent="beit-3",
        card=Card(
            paper="ONE-PEACE: Exploring One General Representation Model Toward Unlimited "
            "Modalities (arXiv 2305.11172)",
            differs="gated feed-forwards with own norms, scaled updates, a convolutional stem",
            claim="ImageNet 89.8, ADE20K 63.0, COCO retrieval 84.1/65.4, RefCOCO 92.58/94.18/89.26",
            checks=(
                "shared attention holds 377M parameters, each feed-forward 1,132M",
                "an image alone gives the text's feed-forward no gradient",
                "a new modality adds one feed-forward with its norms",
                "teaching a new modality leaves the others' outputs as they are",
            ),
            story=(
                "words and pictures only; sine places stand in for relative biases",
                "its contrastive and denoising pre-training is not built",
            ),
        ),
        scales=derive(
            SINGLE_STREAM,
            every=dict(
                connector=Linear(),
                fusion=InSequence(),
                experts=WeightsByGroup(
                    kinds=(TEXT, MEDIA),
                    sites=(Site.GATE, Site.UP, Site.DOWN),
                    norms=(NormSite.FEED_FORWARD, NormSite.HIDDEN),
                ),
            ),
            nano=dict(encoder=STEM, host=replace(NANO_TRUNK, sub_norm=True, gated=True)),
            smol=dict(encoder=LARGE),
            paper=dict(
                views=Fixed(256, 256),
                encoder=LARGE,
                host=replace(VIT_B, sub_norm=True, gated=True, layer_scale=1e-6, **WIDE),
            ),
        ),
    )
)

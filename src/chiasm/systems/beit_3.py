"""BEiT-3: one attention for all rows, a feed-forward for each modality."""

from dataclasses import replace

from chiasm.connectors import PatchEmbedding
from chiasm.encoders import RawPatches
from chiasm.experts import WeightsByGroup
from chiasm.fusion import InSequence
from chiasm.lineages.single_stream import NANO_TRUNK, SINGLE_STREAM, VIT_B
from chiasm.spec import Card, Fixed, System, derive, register
from chiasm.spec.slots import NormSite, Site
from chiasm.stream import MEDIA, TEXT

MULTIWAY = WeightsByGroup(
    kinds=(TEXT, MEDIA), sites=(Site.UP, Site.DOWN, Site.GATE), norms=(NormSite.HIDDEN,)
)
GIANT = dict(vocabulary=64_010, width=1408, depth=40, heads=16, kv_heads=16, head_width=88)

SYSTEM = register(
    System(
        slug="beit-3",
        no=233,
        parent="vilt",
        card=Card(
            paper="Image as a Foreign Language: BEiT Pretraining for All Vision and "
            "Vision-Language Tasks (arXiv 2208.10442)",
            differs="a feed-forward for words and one for patches in every layer, attention "
            "shared, norms inside both (sub-LN)",
            claim="VQAv2 84.0, NLVR2 92.6, COCO CIDEr 147.6, ImageNet 89.6, ADE20K 62.8",
            checks=(
                "shared attention holds 317M parameters, each feed-forward 692M",
                "with attention and norms split too, the base holds about 222M, as released",
                "an image alone does not pass the words' branch",
                "equal branches are the plain transformer",
                "an answer leaks into no earlier row",
            ),
            story=(
                "a third feed-forward for pairs, in the paper's top three layers, is left out, as "
                "in the released code",
                "answers are spelt; masked data modelling, its pre-training, is not built",
            ),
        ),
        scales=derive(
            SINGLE_STREAM,
            every=dict(fusion=InSequence(), experts=MULTIWAY),
            nano=dict(host=replace(NANO_TRUNK, sub_norm=True)),
            paper=dict(
                views=Fixed(224, 224),
                encoder=RawPatches(patch=14),
                connector=PatchEmbedding(side=(16, 16)),
                host=replace(VIT_B, ff_width=6144, sub_norm=True, **GIANT),
            ),
        ),
    )
)

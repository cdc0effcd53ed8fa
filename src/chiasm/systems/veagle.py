"""Veagle: a Q-Former's 32 queries hear the question, and every patch enters besides."""

from dataclasses import replace

from chiasm.connectors import DualPath, QFormer
from chiasm.lineages.connecting import VEAGLE
from chiasm.lineages.encoders import CLIP_L_224
from chiasm.lineages.hosts import MISTRAL_7B
from chiasm.lineages.teaching import connector_only
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, Fixed, System, derive, register

FORMER = QFormer(latents=32, depth=12, heads=12, head_width=64, ff_width=3072, vocabulary=32_000)
SMALL = replace(FORMER, depth=4, heads=6, ff_width=1536, vocabulary=49_152)
TINY = replace(SMALL, latents=16, depth=2, heads=4, head_width=32, ff_width=256, vocabulary=512)

SYSTEM = register(
    System(
        slug="veagle",
        no=110,
        parent="llava-1.5",
        card=Card(
            paper="Veagle: Advancements in Multimodal Representation Learning (arXiv 2403.08773)",
            differs="32 queries of a Q-Former that reads patches and question, then all patches by "
            "two linear maps without an activation; the first map is on both paths",
            claim="5 to 6% above InstructBLIP, BLIVA, mPLUG-Owl and LLaVA on questions of images",
            checks=(
                "32 + 256 rows an image",
                "the patches' path is affine",
                "another question changes the first 32 rows alone",
                "the shared map gets gradient from both paths",
                "neither encoder nor host learns",
            ),
            story=(
                "the encoder has the sizes of mPLUG-Owl2's and CLIP's weights",
                "words of the question are the host's ids; InstructBLIP's Q-Former has BERT's",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(connector=DualPath(former=TINY, inner=144)),
            smol=dict(
                connector=DualPath(former=SMALL, inner=440),
                teaching=connector_only(learning_rate=5e-4),
            ),
            paper=dict(
                views=Fixed(224, 224),
                encoder=CLIP_L_224,
                connector=DualPath(former=FORMER, inner=1408),
                teaching=VEAGLE,
                host=MISTRAL_7B,
            ),
        ),
    )
)

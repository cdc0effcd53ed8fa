"""BLIText: a Q-Former learns the prompts from which a frozen host best reads the caption."""

from dataclasses import replace

from chiasm.connectors import QFormer
from chiasm.lineages.encoders import EVA_CLIP_G_224
from chiasm.lineages.hosts import OPT_2_7B
from chiasm.lineages.teaching import connector_only
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, Fixed, System, derive, register

BLIP_2 = QFormer(latents=32, depth=12, heads=12, head_width=64, ff_width=3072, vocabulary=0)
SMALL = replace(BLIP_2, depth=4, heads=6, ff_width=1536)

SYSTEM = register(
    System(
        slug="blitext",
        no=39,
        parent="mmicl",
        card=Card(
            paper="Bootstrapping Vision-Language Learning with Decoupled Language Pre-training "
            "(arXiv 2307.07063)",
            differs="BLIP-2 beside a frozen OPT; while captions are taught, the Q-Former's tokens "
            "are drawn to prompts that P-Former, taught on text alone, makes of the caption",
            claim="OPT-2.7B, zero-shot, BLIP-2 to with P-Former: VQAv2 46.8 to 52.6, GQA 30.5 to "
            "34.0, OKVQA 25.9 to 30.0",
            checks=(
                "neither host nor vocabulary changes",
                "the words get no gradient of the distance to them",
                "with a weight of 0 it is BLIP-2",
                "the first stage looks at no image",
                "answering runs no P-Former",
            ),
            story=(
                "P-Former is `chiasm.prompting`, which teaches it and draws tokens to its prompts, "
                "apart from `chiasm train`, which teaches BLIP-2's second stage",
                "BLIP-2's first stage, matching and contrast of images and texts, is not built",
                "P-Former reads the host's words, the paper's BERT's, and has no dropout; OPT's "
                "places are added to words alone",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(
                connector=replace(SMALL, latents=16, depth=2, heads=4, head_width=32, ff_width=256)
            ),
            smol=dict(connector=SMALL, teaching=connector_only(learning_rate=5e-4)),
            paper=dict(
                views=Fixed(224, 224),
                encoder=EVA_CLIP_G_224,
                connector=BLIP_2,
                teaching=connector_only(learning_rate=1e-4),
                host=OPT_2_7B,
                template="prismatic",
            ),
        ),
    )
)

"""MMICL: many pictures in place, each made of a Q-Former's queries and declared by its number."""

from dataclasses import replace

from chiasm.connectors import QFormer
from chiasm.lineages.encoders import EVA_CLIP_G_224
from chiasm.lineages.teaching import without_alignment
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, Fixed, System, derive, register

BLIP_2 = QFormer(latents=32, depth=12, heads=12, head_width=64, ff_width=3072, vocabulary=0)
SMALL = replace(BLIP_2, depth=4, heads=6, ff_width=1536)

SYSTEM = register(
    System(
        slug="mmicl",
        no=62,
        parent="browse-concentrate",
        card=Card(
            paper="MMICL: Empowering Vision-language Model with Multi-Modal In-Context Learning "
            "(arXiv 2309.07915)",
            differs="each image passes encoder and Q-Former alone, and its 32 tokens stand where "
            "it is declared (image j is <imagej>), so that text refers to it by name",
            claim="MME perception 1376 and cognition 360.4, MMBench test 65.2 (Flan-T5-XXL); above "
            "InstructBLIP",
            checks=(
                "an image takes 32 rows",
                "swapping two images with their names leaves what each name holds",
                "a sample without an image encodes none",
                "the Q-Former reads no words: values and gradients are BLIP-2's",
            ),
            story=(
                "the host is Vicuna-7B, learning whole with the projection; the release teaches "
                "queries and values of its attention",
                "names are spelt in the host's own words, where the release adds 20 of its own",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(
                connector=replace(SMALL, latents=16, depth=2, heads=4, head_width=32, ff_width=256)
            ),
            smol=dict(connector=SMALL),
            paper=dict(
                views=Fixed(224, 224),
                encoder=EVA_CLIP_G_224,
                connector=BLIP_2,
                teaching=without_alignment(learning_rate=1e-4),
                template="mmicl",
            ),
        ),
    )
)

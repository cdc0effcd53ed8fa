"""Brote: the model reads everything once, then looks at each image again, knowing what it read."""

from dataclasses import replace

from chiasm.connectors import QFormer
from chiasm.lineages.encoders import EVA_CLIP_G_224
from chiasm.lineages.teaching import BROTE
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, Fixed, System, derive, register

INSTRUCT_BLIP = QFormer(
    latents=32, depth=12, heads=12, head_width=64, ff_width=3072, vocabulary=32_000, browses=True
)
SMALL = replace(INSTRUCT_BLIP, depth=4, heads=6, ff_width=1536, vocabulary=49_152)

SYSTEM = register(
    System(
        slug="browse-concentrate",
        no=207,
        parent="llava-1.5",
        card=Card(
            paper="Browse and Concentrate: Comprehending Multimodal Content via prior-LLM Context "
            "Fusion (arXiv 2402.12195)",
            differs="a Q-Former's queries make an image 32 tokens; a first pass of the whole model "
            "over prompt and images gives them a condition, added to every query of every image",
            claim="against InstructBLIP and MMICL, average over seven tasks of several images: "
            "+2.13 with 3B parameters, +7.60 with 11B",
            checks=(
                "with a zero condition it is the model without browsing",
                "another second image changes the first one's tokens through the condition alone",
                "no gradient reaches the browsing pass",
                "a prompt costs about twice as much",
            ),
            story=(
                "the first pass is the model's own, on the fly (the paper's IM); EX stores it",
                "the host is InstructBLIP's Vicuna-7B, its last prompt row the condition; the "
                "paper's is Flan-T5, whose encoder's end of sequence gives it",
                "words of the question are the host's ids; the paper's Q-Former has BERT's",
                "later stages teach the whole host, the paper's its queries and values; contexts "
                "are not dropped, and the Q-Former has no dropout",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(
                connector=replace(
                    SMALL, latents=16, depth=2, heads=4, head_width=32, ff_width=256, vocabulary=512
                )
            ),
            smol=dict(connector=SMALL),
            paper=dict(
                views=Fixed(224, 224),
                encoder=EVA_CLIP_G_224,
                connector=INSTRUCT_BLIP,
                teaching=BROTE,
            ),
        ),
    )
)

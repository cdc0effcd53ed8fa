"""EMMA: image tokens and words of the instruction are mixed by one matrix over the token axis."""

from chiasm.connectors import HostWords, TextTower, TokenMixing
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, System, derive, register

NANO_TOWER = TextTower(vocabulary=512, width=64, depth=2, heads=4, ff_width=128)
CLIP_L_TEXT = TextTower(vocabulary=49_408, width=768, depth=12, heads=12, ff_width=3072)

SYSTEM = register(
    System(
        slug="emma",
        no=106,
        parent="llava-1.5",
        card=Card(
            paper="EMMA: Efficient Visual Alignment in Multi-Modal LLMs (arXiv 2410.02080)",
            differs="before the MLP, each visual token becomes a learned combination of image "
            "tokens and CLIP text states of the question, the same for every channel",
            claim="against LLaVA-1.5-7B and adapters 50 times as large (mPLUG-Owl2): up to +9.3% "
            "with under 0.2% more parameters",
            checks=(
                "a fresh connector passes V unchanged, whatever is asked",
                "1,164,160 parameters are new and taught",
                "576 tokens enter, as before",
                "with A[:, 576:] = 0 the question has no influence",
                "the mixture is linear in V",
            ),
            story=(
                "the text tower reads the host's ids; the paper's has a tokenizer of its own",
                "at smol the words are the host's embeddings: no CLIP text tower is packaged",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(connector=TokenMixing(reader=NANO_TOWER, patches=16, most_words=24)),
            smol=dict(connector=TokenMixing(reader=HostWords(), patches=49, most_words=77)),
            paper=dict(connector=TokenMixing(reader=CLIP_L_TEXT, patches=576, most_words=77)),
        ),
    )
)

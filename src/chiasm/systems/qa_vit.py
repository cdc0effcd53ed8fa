"""QA-ViT: the upper half of a frozen encoder hears the question through gates that start shut."""

from dataclasses import replace

from chiasm.connectors import QuestionAware
from chiasm.lineages.encoders import CLIP_L_LOWER_HALF, LAYERED_NANO, LAYERED_SMOL
from chiasm.lineages.vision_language import SCRATCH, VISION_LANGUAGE
from chiasm.spec import Card, System, derive, register

SYSTEM = register(
    System(
        slug="qa-vit",
        no=95,
        parent="llava-1.5",
        card=Card(
            paper="Question Aware Vision Transformer for Multimodal Reasoning (arXiv 2402.05472)",
            differs="in the upper layers of the encoder visual rows read the question's words "
            "besides, with the frozen weights, through a gated output that starts shut",
            claim="better than the same data without it for ViT+T5, BLIP-2, InstructBLIP and "
            "LLaVA-1.5, most on text in scenes; fusing late is best",
            checks=(
                "with gates at 0, features are the same whatever is asked",
                "as many tokens as before",
                "the lower layers run once for all questions about an image",
                "padding of the question has no effect",
                "the encoder's own weights stay as they are",
            ),
            story=(
                "words are the host's embeddings of the prompt; eleven layers of CLIP-L hear them",
                "two reads, one without the question, so that a fresh model is LLaVA-1.5",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(
                encoder=replace(LAYERED_NANO, depth=0),
                connector=QuestionAware(depth=2, heads=4, ff_width=128),
            ),
            smol=dict(
                encoder=replace(LAYERED_SMOL, depth=3),
                connector=QuestionAware(depth=3, heads=6, ff_width=1536),
                teaching=SCRATCH,
            ),
            paper=dict(
                encoder=CLIP_L_LOWER_HALF,
                connector=QuestionAware(
                    depth=11, heads=16, ff_width=4096, spare=1, activation="quick_gelu"
                ),
            ),
        ),
    )
)

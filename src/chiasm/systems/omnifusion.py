"""OmniFusion: a transformer layer for an adapter, and learned vectors around the picture."""

from chiasm.lineages.connecting import enclosed_adapter
from chiasm.lineages.hosts import MISTRAL_7B
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, System, derive, register

SYSTEM = register(
    System(
        slug="omnifusion",
        no=242,
        parent="llava-1.5",
        card=Card(
            paper="OmniFusion Technical Report (arXiv 2404.06212)",
            differs="one transformer encoder layer and a linear map instead of the MLP, so that "
            "patches see each other; learned vectors outside of the vocabulary enclose an image",
            claim="7B, one encoder: TextVQA 48.9, ScienceQA 68.0, POPE 78.2, GQA 46.0, OKVQA 51.9",
            checks=(
                "576 + 2 rows an image",
                "permuting the patches permutes what the adapter gives",
                "one patch changes the rows of all others, where an MLP changes its own alone",
                "no word is added to the host",
            ),
            story=(
                "the form with one encoder, of whole images; the second one mixes in DINOv2",
                "the vectors that mark who speaks are words of the prompt's template here",
                "stages are LLaVA-1.5's; the report's optimiser is Adafactor",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(connector=enclosed_adapter(4, 256, 128)),
            smol=dict(connector=enclosed_adapter(4, 640, 576)),
            paper=dict(connector=enclosed_adapter(4, 2048, 4096), host=MISTRAL_7B),
        ),
    )
)

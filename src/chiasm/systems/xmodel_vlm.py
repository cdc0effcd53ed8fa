"""Xmodel-VLM: every four tokens in reading order become one, by an MLP with Mish."""

from chiasm.connectors import ShuffleMLP
from chiasm.lineages.hosts import XMODEL_1_1B
from chiasm.lineages.teaching import aligned
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, Fixed, System, derive, register

SYSTEM = register(
    System(
        slug="xmodel-vlm",
        no=189,
        parent="llava-1.5",
        card=Card(
            paper="Xmodel-VLM: A Simple Baseline for Multimodal Vision Language Model "
            "(arXiv 2405.09215)",
            differs="strips of four tokens of a line become one token each: 576 become 144; a host "
            "of 1.1 billion parameters",
            claim="comparable to LLaVA-1.5-7B and MobileVLM at a fraction of the decoding time",
            checks=(
                "the projector holds 12,587,008 parameters",
                "token j depends on tokens 4j to 4j + 3 alone",
                "a grid whose lines hold no whole strips is refused",
                "no rearranged weights make it a pixel shuffle",
            ),
            story=("the first stage teaches the projector alone, the reading of its code",),
        ),
        scales=derive(
            VISION_LANGUAGE,
            every=dict(connector=ShuffleMLP(factor=(1, 4), activation="mish")),
            smol=dict(views=Fixed(256, 256)),
            paper=dict(
                host=XMODEL_1_1B,
                teaching=aligned("connector", "decoder", "head", rates=(1e-3, 4e-5)),
            ),
        ),
    )
)

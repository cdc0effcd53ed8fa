"""LLaVA-Read: two encoders look, and an OCR engine's words come as text with their boxes."""

from dataclasses import replace

from chiasm.connectors import MLP, AddedDetail
from chiasm.data.pixels import CLIP
from chiasm.lineages.connecting import LLAVA_READ
from chiasm.lineages.several_encoders import DETAIL_CHANNELS, NANO_CHANNELS, SMOL_CHANNELS
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, Fixed, System, derive, register

SYSTEM = register(
    System(
        slug="llava-read",
        no=42,
        parent="llava-1.5",
        card=Card(
            paper="LLaVA-Read: Enhancing Reading Ability of Multimodal Language Models "
            "(arXiv 2407.19185)",
            differs="a convolutional CLIP at higher resolution is added to the encoder's tokens, "
            "and words of an OCR engine, each with its box, precede the question as text",
            claim="above LLaVA-type models on OCRBench and questions of documents; reading is "
            "limited by visual encoders, not by the host",
            checks=(
                "without a word read it is LLaVA with two encoders",
                "with zero fusion weights tokens are plain CLIP's",
                "what was read changes the text's length, never the visual count",
                "shuffled boxes keep recognition and hurt localisation",
            ),
            story=(
                "how both maps are joined is not verified: here detail is added through a linear "
                "map that starts at zero; boxes are whole numbers of 0 to 999, 256 words at most",
                "chiasm.data.read_out writes the line from any engine's words; in the data set "
                "written-words-read the reader makes no mistake",
                "page parsing and layout recovery, tasks of the first stage, are not built",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            every=dict(connector=AddedDetail(share=(1, 2), each=MLP())),
            nano=dict(encoder=NANO_CHANNELS),
            smol=dict(
                views=Fixed(448, 448),
                encoder=SMOL_CHANNELS,
                connector=AddedDetail(share=(1, 5), each=MLP()),
            ),
            paper=dict(
                views=Fixed(768, 768),
                pixels=replace(CLIP, fit="squash"),
                encoder=DETAIL_CHANNELS,
                connector=AddedDetail(share=(2, 5), each=MLP()),
                teaching=LLAVA_READ,
            ),
        ),
    )
)

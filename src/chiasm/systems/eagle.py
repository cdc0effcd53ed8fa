"""Eagle: five encoders on one grid, side by side along the channels, then LLaVA-1.5's MLP."""

from dataclasses import replace

from chiasm.data.pixels import CLIP
from chiasm.lineages.connecting import EAGLE
from chiasm.lineages.several_encoders import NANO_CHANNELS, PAPER_CHANNELS, SMOL_CHANNELS
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, Fixed, System, derive, register

SYSTEM = register(
    System(
        slug="eagle",
        no=97,
        parent="llava-1.5",
        card=Card(
            paper="Eagle: Exploring The Design Space for Multimodal LLMs with Mixture of Encoders "
            "(arXiv 2408.15998)",
            differs="CLIP, ConvNeXt, SAM, EVA-02 and Pix2Struct see one picture of 1024 pixels; "
            "their maps are stretched to 32 x 32 and joined; all of them learn in the end",
            claim="X5-7B: GQA 64.9, TextVQA 71.2, ChartQA 67.8, DocVQA 78.6, OCRBench 529",
            checks=(
                "1,024 tokens for any number of encoders",
                "another encoder widens the first map alone",
                "zeros in an encoder's slice of it take that encoder away",
                "alone with a projector, an encoder learns beside a frozen host",
                "encoders get gradient in the last stage",
            ),
            story=(
                "SAM, EVA-02 and Pix2Struct have their sizes here in CLIP's blocks",
                "lineages.connecting.EAGLE_ALONE is the stage before, of one encoder at a time",
                "smol sees a picture twice through one network, at 224 and 448 pixels",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(encoder=NANO_CHANNELS),
            smol=dict(views=Fixed(448, 448), encoder=SMOL_CHANNELS, teaching=EAGLE),
            paper=dict(
                views=Fixed(1024, 1024),
                pixels=replace(CLIP, fit="squash"),
                encoder=PAPER_CHANNELS,
                teaching=EAGLE,
            ),
        ),
    )
)

"""UniDoc: texts of a picture found, read and understood in one model, places as plain numbers."""

from chiasm.connectors import Linear
from chiasm.lineages.connecting import UNI_DOC
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, System, derive, register

SYSTEM = register(
    System(
        slug="unidoc",
        no=247,
        parent="llava-1.5",
        card=Card(
            paper="UniDoc: A Universal Large Multimodal Model for Simultaneous Text Detection, "
            "Recognition, Spotting and Understanding (arXiv 2308.11592)",
            differs="one linear map; detection, recognition, spotting and understanding are four "
            "instructions, whose answers write boxes as whole numbers of 0 to 999",
            claim="the four tasks taught together beat each alone; asking to spot helps reading",
            checks=(
                "what is written is read back as it was",
                "malformed entries are misses and never stop a score",
                "boxes do not change with the picture's scale",
                "a perfect answer scores F = 1 at IoU 0.5",
                "detection and recognition taken from a spotting answer are those tasks' answers",
            ),
            story=(
                "coordinates of 0 to 999 and the entries' form are ours (chiasm.data.spotted)",
                "the data set written-words asks all four of drawn words",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            every=dict(connector=Linear()),
            paper=dict(teaching=UNI_DOC),
        ),
    )
)

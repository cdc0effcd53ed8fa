"""B2T2: the picture of what a word refers to is added to the word's embedding."""

from dataclasses import replace

from chiasm.connectors import RawFeatures
from chiasm.encoders import EfficientNetLite0
from chiasm.fusion import AddedBoxes
from chiasm.lineages.single_stream import BERT_BASE, PREFIX
from chiasm.lineages.teaching import everything
from chiasm.lineages.two_streams import NANO_TEXT
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, System, Tiles, derive, register
from chiasm.visibility import OwnUnit

BERT_LARGE = replace(BERT_BASE, width=1024, depth=24, heads=16, kv_heads=16, ff_width=4096)

SYSTEM = register(
    System(
        slug="b2t2",
        no=96,
        parent="llava-1.5",
        card=Card(
            paper="Fusion of Detected Objects in Text for Visual Question Answering "
            "(arXiv 1908.05054)",
            differs="tanh of a map of a box's vector is added to the embeddings of the words that "
            "refer to it, the whole picture's to a slot in front; no row is a picture's",
            claim="VCR: 25% lower error than R2C; early fusion is the key ablation",
            checks=(
                "with a map of zeros it is BERT",
                "naming another box moves what is added to exactly that word",
                "a box that no word names gets no gradient",
                "boxes take no row",
            ),
            story=(
                "boxes are the picture's tiles, encoded as crops, and the words that refer to them "
                "are their tags; a learned code of the tile's number stands for its coordinates'",
                "EfficientNet-Lite0 stands in for ResNet-152; answers are spelt, where the paper "
                "judges each of four choices by [CLS]",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            every=dict(
                visibility=replace(PREFIX, memory=OwnUnit()),
                connector=RawFeatures(),
                fusion=AddedBoxes(boxes=6),
            ),
            nano=dict(views=Tiles(side=32, most=4), host=NANO_TEXT),
            smol=dict(views=Tiles(side=224, most=4), teaching=everything(learning_rate=1e-4)),
            paper=dict(
                views=Tiles(side=224, most=4),
                encoder=EfficientNetLite0(level="head"),
                teaching=everything(learning_rate=2e-5),
                host=BERT_LARGE,
                template="chatml",
            ),
        ),
    )
)

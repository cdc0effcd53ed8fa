"""UnIVAL: light encoders of every modality before one small transformer; text comes out."""

from dataclasses import replace

from chiasm.connectors import PatchEmbedding
from chiasm.encoders import EfficientNetLite0
from chiasm.fusion import SingleStream
from chiasm.lineages.single_stream import BERT_BASE, SINGLE_STREAM
from chiasm.lineages.two_streams import NANO_TEXT
from chiasm.lineages.vision_language import LITE, VISION_LANGUAGE
from chiasm.positions import Apart
from chiasm.spec import Card, Fixed, Scale, System, derive, register

SYSTEM = register(
    System(
        slug="unival",
        no=126,
        parent="vilt",
        card=Card(
            paper="Unified Model for Image, Video, Audio and Language Tasks (arXiv 2307.16184)",
            differs="features of a light convolutional encoder, each with its learned place, and "
            "words in one transformer; frames of a film share their places; models taught on "
            "different tasks are merged by weight (`chiasm.training.merging`)",
            claim="0.25B: COCO 137.0, VQAv2 77.0, SNLI-VE 78.2, RefCOCO 89.1, MSRVTT-QA 43.5",
            checks=(
                "a merging share of 1 or 0 gives that model",
                "swapping frames permutes their tokens and changes nothing that is said",
                "a tensor that one of two models lacks is kept unscaled",
            ),
            story=(
                "a prefix model of BERT-base's layers stands in for BART's two halves; biases by "
                "relative place, random subsets of patches and sound are not built",
                "EfficientNet-Lite0 stands in for ResNet-101 and its three-dimensional twin",
            ),
        ),
        scales=derive(
            SINGLE_STREAM,
            every=dict(
                connector=PatchEmbedding(side=(7, 7), class_token=False),
                fusion=SingleStream(norm_text=False),
                positions=Apart(),
            ),
            nano=dict(
                encoder=VISION_LANGUAGE[Scale.NANO].encoder,
                connector=PatchEmbedding(side=(4, 4), class_token=False, initial_std=0.1),
                host=NANO_TEXT,
            ),
            smol=dict(encoder=EfficientNetLite0()),
            paper=dict(
                views=Fixed(480, 480),
                pixels=LITE,
                encoder=EfficientNetLite0(level="head"),
                connector=PatchEmbedding(side=(15, 15), class_token=False),
                host=replace(BERT_BASE, vocabulary=59_457),
            ),
        ),
    )
)

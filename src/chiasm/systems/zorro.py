"""Zorro: one transformer in which every modality keeps to itself and only fusion rows see all."""

from chiasm.connectors import PatchEmbedding
from chiasm.encoders import RawPatches
from chiasm.fusion import SingleStream
from chiasm.lineages.single_stream import SINGLE_STREAM
from chiasm.positions import Apart
from chiasm.spec import Card, Fixed, System, derive, register
from chiasm.visibility import Everything, Pure, Sight

SYSTEM = register(
    System(
        slug="zorro",
        no=161,
        parent="vilt",
        card=Card(
            paper="Zorro: the masked multimodal transformer (arXiv 2301.09595)",
            differs="text rows see text, image rows see images, 16 learned fusion rows see all, "
            "and nobody sees them but the answer",
            claim="state of the art on AudioSet and VGGSound, and unimodal transfer to "
            "Kinetics-400 and ESC-50 from one model",
            checks=(
                "a modality's rows are exactly the same whatever stands beside them, or nothing",
                "fusion rows change with either modality",
                "no gradient reaches one modality from another's rows",
                "a rule that permits everything is the plain transformer",
                "it holds as many parameters as the plain transformer",
            ),
            story=(
                "the paper pairs audio with video; here words stand for audio",
                "the answer is a read-out that is spelt: it sees all rows, and none sees it",
            ),
        ),
        scales=derive(
            SINGLE_STREAM,
            every=dict(
                visibility=Sight(sequence=Pure(), memory=Everything()),
                fusion=SingleStream(norm_text=False),
                positions=Apart(learned=16),
                connector=PatchEmbedding(side=(14, 14), class_token=False, learned=16),
            ),
            nano=dict(
                connector=PatchEmbedding(
                    side=(8, 8), class_token=False, learned=16, initial_std=0.1
                )
            ),
            paper=dict(views=Fixed(224, 224), encoder=RawPatches(patch=16)),
        ),
    )
)

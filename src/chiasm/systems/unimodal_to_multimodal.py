"""Projectors between frozen encoders that never saw the other modality."""

from dataclasses import replace

from chiasm.embedders.stages import Align, ProjectedTokens, ResidualHead
from chiasm.lineages import embedders as parts
from chiasm.objectives import Contrastive
from chiasm.spec import Card, Stage
from chiasm.spec.embedder import EmbedderSystem, register_embedder

SYMMETRIC = Contrastive(temperature=0.07, both_ways=True)
SMALL = (
    parts.text_tower(parts.MINILM, ProjectedTokens(out=256), ResidualHead(out=256)),
    parts.image_tower(parts.LITE_SMALL, ProjectedTokens(out=256), parts.AS_IS),
)
WITH_CLASS = ProjectedTokens(out=1024, class_token=True)
LARGE = (SMALL[0], replace(SMALL[1], encoder=parts.LITE_PICTURES))
PAPER = (
    parts.text_tower(parts.ROBERTA_LARGE, ProjectedTokens(out=1024), ResidualHead(out=1024)),
    parts.image_tower(parts.DINOV2_PICTURES, WITH_CLASS, parts.AS_IS),
)
STAGE = Stage(
    name="projectors",
    trained=("text.head", "image.head", "score"),
    learning_rate=1e-3,
    batch=14_400,
    warmup=10 / 15,
    weight_decay=0.02,
)

SYSTEM = register_embedder(
    EmbedderSystem(
        slug="unimodal-to-multimodal",
        no=10,
        parent="align",
        card=Card(
            paper="From Unimodal to Multimodal: Scaling up Projectors to Align Modalities "
            "(arXiv 2409.19425)",
            differs="both encoders frozen; every token is projected by a linear and a deep branch, "
            "then averaged",
            claim="76% on ImageNet zero-shot with 20 times fewer pairs than CLIP",
            checks=(
                "the encoders are bit-identical after steps",
                "padding changes no text",
                "features kept from before give the loss of encoding anew",
                "linear CKA does not change under rotation and scale",
            ),
        ),
        scales=parts.two_towers(
            PAPER,
            objective=Align(contrast=SYMMETRIC, learned=True, bounds=(0.001, 0.5)),
            stages=(STAGE,),
            nano=SMALL,
            smol=LARGE,
            nano_stages=(parts.HEADS,),
            smol_stages=(parts.HEADS,),
        ),
    )
)

"""ALIGN: two towers that meet in one space, taught on noisy pairs."""

from dataclasses import replace

from chiasm.embedders.stages import Align, LinearHead, Summed
from chiasm.lineages import embedders as parts
from chiasm.objectives import Contrastive
from chiasm.spec import Card, Stage
from chiasm.spec.embedder import EmbedderSystem, register_embedder

SMOOTHED = Contrastive(temperature=1.0, smoothing=0.1, both_ways=True)
ALIGN = Align(contrast=SMOOTHED, learned=True)
WARM = replace(ALIGN, contrast=replace(SMOOTHED, temperature=0.1))
NOISY = Stage(
    name="noisy pairs",
    trained=parts.SCRATCH.trained,
    learning_rate=1e-3,
    batch=16_384,
    warmup=10_000 / 1_200_000,
    schedule="linear",
    weight_decay=1e-5,
)

SYSTEM = register_embedder(
    EmbedderSystem(
        slug="align",
        no=112,
        parent=None,
        card=Card(
            paper="Scaling Up Visual and Vision-Language Representation Learning With Noisy Text "
            "Supervision (arXiv 2102.05918)",
            differs="the plain two towers: one vector each, one temperature, both directions",
            claim="COCO 5K zero-shot R@1 58.6 image to text, 45.6 text to image",
            checks=(
                "the loss at random weights is near log N",
                "a constant added to all scores leaves the loss unchanged",
                "a label-smoothed loss has a minimum above 0",
                "an image and a text together are the sum of their unit vectors",
            ),
        ),
        scales=parts.two_towers(
            (
                parts.text_tower(parts.BERT_LARGE, parts.FIRST, LinearHead(out=1376)),
                parts.image_tower(parts.EFFICIENTNET_L2, parts.MEAN, parts.AS_IS),
            ),
            objective=ALIGN,
            small=WARM,
            stages=(NOISY,),
            fuse=Summed(unit=True),
        ),
    )
)

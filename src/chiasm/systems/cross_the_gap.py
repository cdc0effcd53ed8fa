"""Cross the Gap: a query that looks for its own kind searches as the other modality's vector."""

from dataclasses import replace

from chiasm.embedders.batches import PICTURE_TO_PICTURE, PICTURE_TO_TEXT, TEXT_TO_PICTURE, Batches
from chiasm.embedders.stages import Align, LinearHead, TextualInversion, VisualInversion
from chiasm.lineages import embedders as parts
from chiasm.lineages.encoders import LAYERED_SMOL
from chiasm.objectives import Contrastive
from chiasm.spec import Card, Stage
from chiasm.spec.embedder import EmbedderSystem, register_embedder

OTI, OVI = replace(PICTURE_TO_PICTURE, inverts=TextualInversion()), VisualInversion(count=4)
TASKS = (TEXT_TO_PICTURE, PICTURE_TO_TEXT, OTI)
PAPER = Batches(tasks=(*TASKS, replace(parts.TEXT_TO, inverts=OVI)), staged=((0, 1),))
FEWER = replace(parts.TEXT_TO, inverts=replace(OVI, count=1, steps=150))
LAYERED = replace(parts.NANO_PICTURES, encoder=replace(parts.NANO_PICTURES.encoder, depth=2))
PATCHES = replace(parts.LITE_PICTURES, encoder=LAYERED_SMOL)
HEAD = LinearHead(out=768, bias=False)

SYSTEM = register_embedder(
    EmbedderSystem(
        slug="cross-the-gap",
        no=239,
        parent="align",
        card=Card(
            paper="Cross the Gap: Exposing the Intra-modal Misalignment in CLIP via Modality "
            "Inversion (arXiv 2502.04263)",
            differs="a picture that looks for pictures searches as a pseudo-word, a text that "
            "looks for texts as pseudo-patches; documents stay",
            claim="on more than fifteen data sets CLIP finds more of the same modality so; an "
            "intra-modal loss shrinks the effect",
            checks=(
                "queries of one batch are optimised independently",
                "the encoders are bit-identical afterwards",
                "the loss falls on average",
                "one pseudo-patch gives equal patch embeddings before positions",
                "towers taught between modalities alone find more inverted, and an intra-modal "
                "loss removes the gain",
            ),
        ),
        scales=parts.two_towers(
            (
                parts.text_tower(parts.CLIP_L_WORDS, parts.LAST, HEAD),
                parts.image_tower(parts.CLIP_L_PICTURES, parts.FIRST, HEAD),
            ),
            objective=Align(contrast=Contrastive(temperature=0.01, both_ways=True), learned=True),
            small=Align(contrast=Contrastive(temperature=0.1, both_ways=True), learned=True),
            stages=(Stage(name="CLIP", trained=("text", "image", "score"), learning_rate=4e-4),),
            nano=(parts.NANO_TOWERS[0], parts.image_tower(LAYERED, parts.MEAN, parts.AS_IS)),
            smol=(
                parts.text_tower(parts.MINILM, parts.FIRST, parts.AS_IS),
                parts.image_tower(PATCHES, parts.MEAN, parts.AS_IS),
            ),
            smol_stages=(replace(parts.SCRATCH, learning_rate=2e-4),),
            batches=PAPER,
            small_batches=replace(PAPER, tasks=(*TASKS, FEWER)),
        ),
    )
)

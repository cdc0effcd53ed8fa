"""Multi-Modal Adapter: frozen CLIP's vectors of a picture and of all classes attend together."""

from dataclasses import replace

from chiasm.embedders.batches import PICTURE_TO_TEXT, Batches
from chiasm.embedders.stages import Align, ComparedBeside
from chiasm.lineages import embedders as parts
from chiasm.lineages.dual_encoders import CLIP_B_16, taught_before
from chiasm.objectives import Contrastive
from chiasm.spec import Card, Stage
from chiasm.spec.embedder import EmbedderSystem, register_embedder

SCORE = ComparedBeside(width=512, narrow=128, heads=4)
STAGE = Stage(name="adapter", trained=("score",), learning_rate=1e-3, batch=32)
SMALL = (replace(STAGE, share=0.3),)

SYSTEM = register_embedder(
    EmbedderSystem(
        slug="mm-adapter",
        no=213,
        parent="align",
        card=Card(
            paper="Multi-Modal Adapter for Vision-Language Models (arXiv 2409.02958)",
            differs="the towers are frozen; a picture and the texts of all classes pass one "
            "attention, 128 wide, before they are compared, blended by 0.2",
            claim="11 data sets: competitive on base classes, above rivals on unseen ones",
            checks=(
                "without a blend it is zero-shot CLIP, exactly",
                "permuting classes permutes scores, and their number is free",
                "other pictures of a batch change no score",
                "2 d n + 4 n^2 parameters: 196,608",
            ),
            story=(
                "n = 128 and 4 heads are ours, as is the mask: a picture reads itself and all "
                "classes, classes one another and the one picture, in training and after",
                "the last map starts at zero, so that it starts as CLIP; small towers are taught "
                "first, as no packaged pair is aligned",
                "an index keeps vectors, and searches by what the towers alone make",
            ),
        ),
        scales=parts.two_towers(
            CLIP_B_16,
            objective=Align(contrast=Contrastive(temperature=0.01)),
            small=Align(contrast=Contrastive(temperature=0.07)),
            stages=(STAGE,),
            nano_stages=taught_before("text", "image", rate=1e-3, then=SMALL),
            smol_stages=taught_before("text", rate=2e-4, then=SMALL),
            scores=(replace(SCORE, width=96, narrow=32), replace(SCORE, width=1280), SCORE),
            batches=Batches(tasks=(PICTURE_TO_TEXT,)),
        ),
    )
)

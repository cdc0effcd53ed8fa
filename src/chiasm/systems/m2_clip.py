"""M2-CLIP: frozen CLIP over frames, adapters over time and of differences before every MLP."""

from dataclasses import replace

from chiasm.embedders.batches import TEXT_TO_CLIP, Batches
from chiasm.embedders.stages import AdaptedFrames, AdaptedWords, Align, Classes
from chiasm.lineages import dual_encoders as dual
from chiasm.lineages import embedders as parts
from chiasm.objectives import Contrastive
from chiasm.spec import Card, Stage
from chiasm.spec.embedder import EmbedderSystem, register_embedder

FRAMES = AdaptedFrames(pictures=dual.pictures(16), out=512, frames=8, narrow=384)
WORDS = AdaptedWords(words=dual.CLIP_B_WORDS, out=512, narrow=384, adapted=6)
LEARN = ("text.adapters", "image.adapters", "score")
STAGE = Stage(name="adapters", trained=LEARN, learning_rate=3e-4, batch=64)
SMALL = (replace(STAGE, learning_rate=1e-3, share=0.3),)
KINETICS = Classes(tower="image", classes=400, weight=2.0)
SOFT = Contrastive(temperature=0.07, both_ways=True)
NANO_WORDS = replace(WORDS, words=dual.NANO_CLIP_WORDS, out=64, narrow=32, adapted=1)
NANO = replace(FRAMES, pictures=dual.NANO_CLIP_PICTURES, out=64, frames=2, narrow=32)
SMOL_WORDS = replace(WORDS, words=dual.SMOL_CLIP_WORDS, out=256, narrow=128, adapted=3)
SMOL = replace(FRAMES, pictures=dual.SMOL_CLIP_PICTURES, out=256, frames=4, narrow=128)

SYSTEM = register_embedder(
    EmbedderSystem(
        slug="m2-clip",
        no=81,
        parent="frozen-in-time",
        card=Card(
            paper="A Multimodal, Multi-Task Adapting Framework for Video Action Recognition "
            "(arXiv 2401.11649)",
            differs="frozen CLIP; before every feed-forward a convolution over time and one of "
            "what changed since the last frame; narrow adapters of words; a classifier beside",
            claim="K400 and SSv2: near full tuning, zero-shot transfer kept",
            checks=(
                "fresh adapters change nothing; 1.187M each, 12 layers of them",
                "a static clip differs by nothing, a reversed one gives another vector",
                "left or right: adapters over time tell them apart, adapters of frames do not",
            ),
            story=(
                "twice the paper's half; classes by likeness are the batch's own, and predicting "
                "words, of which the release masks none, is left out",
                "six text layers and the frames' narrower adapter are ours; one rate for all",
                "small sizes begin from nothing; their clips are a picture and a part of it",
            ),
        ),
        scales=parts.two_towers(
            dual.over_time(WORDS, FRAMES),
            objective=Align(contrast=replace(SOFT, temperature=0.01), terms=(KINETICS,)),
            small=Align(contrast=SOFT, terms=(replace(KINETICS, classes=4096),)),
            stages=(STAGE,),
            nano=dual.over_time(NANO_WORDS, NANO),
            smol=dual.over_time(SMOL_WORDS, SMOL),
            nano_stages=dual.taught_before("text", "image", "score", rate=1e-3, then=SMALL),
            smol_stages=dual.taught_before("text", "image", "score", rate=5e-4, then=SMALL),
            batches=Batches(tasks=(TEXT_TO_CLIP,)),
        ),
    )
)

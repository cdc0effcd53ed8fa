"""UniAdapter: one adapter a layer for pictures, words and words that read a picture."""

from dataclasses import replace

from chiasm.embedders.batches import TEXT_TO_PICTURE, Batches
from chiasm.embedders.stages import Align, Alone, UnifiedPair
from chiasm.lineages import dual_encoders as dual
from chiasm.lineages import embedders as parts
from chiasm.objectives import Contrastive
from chiasm.spec import Card, Stage
from chiasm.spec.embedder import EmbedderSystem, register_embedder

BLIP = UnifiedPair(
    vocabulary=30_524, pictures=dual.pictures(16), narrow=512, read=64, out=256, longest=40
)
NANO = replace(BLIP, vocabulary=512, pictures=dual.NANO_CLIP_PICTURES, narrow=32, read=8, out=64)
SMOL = replace(BLIP, vocabulary=4096, pictures=dual.SMOL_CLIP_PICTURES, narrow=128, read=32)
STAGE = Stage(
    name="adapters", trained=("blip.adapters",), learning_rate=1e-5, batch=128, weight_decay=0.05
)
SMALL = (replace(STAGE, learning_rate=1e-3, batch=64, share=0.3),)
FIRST = dual.taught_before("blip", "score", rate=3e-4, then=SMALL)
SOFT = Contrastive(temperature=0.07, both_ways=True)

SYSTEM = register_embedder(
    EmbedderSystem(
        slug="uniadapter",
        no=75,
        parent="align",
        card=Card(
            paper="UniAdapter: Unified Parameter-Efficient Transfer Learning for Cross-modal "
            "Modeling (arXiv 2302.06605)",
            differs="frozen BLIP; a layer of both sides, and of words that read a picture, has one "
            "adapter beside its feed-forward: one map down, three up",
            claim="MSR-VTT R@1 49.7 with 2.2% of the parameters",
            checks=(
                "18.95M at r = 512 and 0.198M for keys and values; unshared 1.5 times as many",
                "a step on words changes what pictures give, but not the pictures' own map",
                "fresh adapters leave BLIP's text model as it is, in values and gradients",
            ),
            story=(
                "two maps up and the third's norm start at zero; pictures pass CLIP's blocks",
                "negatives are the batch's own, without a queue; words that read a picture are one "
                "vector, where the paper has a matching head; small sizes begin from nothing",
            ),
        ),
        scales=parts.two_towers(
            dual.one_side("blip", BLIP),
            objective=Align(contrast=SOFT, learned=True),
            small=Align(contrast=replace(SOFT, temperature=0.2), learned=True),
            stages=(STAGE,),
            nano=dual.one_side("blip", NANO),
            smol=dual.one_side("blip", SMOL),
            nano_stages=FIRST,
            smol_stages=FIRST,
            batches=Batches(tasks=(TEXT_TO_PICTURE, parts.TO_BOTH), block=1),
            fuse=Alone(),
        ),
    )
)

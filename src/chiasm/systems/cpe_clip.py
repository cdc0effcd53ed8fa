"""CPE-CLIP: two learned rows a layer for both sides of CLIP, taught in sessions of new classes."""

from dataclasses import replace

from chiasm.embedders.batches import PICTURE_TO_TEXT, Batches
from chiasm.embedders.stages import Align, Alone, PromptedPair
from chiasm.lineages import dual_encoders as dual
from chiasm.lineages import embedders as parts
from chiasm.objectives import Contrastive
from chiasm.spec import Card
from chiasm.spec.embedder import EmbedderSystem, register_embedder

CIFAR_100 = (60, *(5,) * 8)
NAMED = Batches(tasks=(PICTURE_TO_TEXT,), sessions=dual.spans(*CIFAR_100))
HALVES = ((0.0, 1.0), *dual.spans(1, 1))
LAST = dual.class_sessions(1, 1, rate=1e-3, batch=32, share=0.3)
PAIR = PromptedPair(words=dual.CLIP_B_WORDS, pictures=dual.pictures(16), rows=2, out=512)
NANO = replace(PAIR, words=dual.NANO_CLIP_WORDS, pictures=dual.NANO_CLIP_PICTURES, out=64)
SMOL = replace(PAIR, words=dual.SMOL_CLIP_WORDS, pictures=dual.SMOL_CLIP_PICTURES, out=256)

SYSTEM = register_embedder(
    EmbedderSystem(
        slug="cpe-clip",
        no=18,
        parent="align",
        card=Card(
            paper="Multimodal Parameter-Efficient Few-Shot Class Incremental Learning "
            "(arXiv 2303.04751)",
            differs="frozen CLIP; words find two learned rows in every layer, pictures two more a "
            "layer, mapped from the same; sessions of new classes, each at its share of all seen",
            claim="above rivals on CIFAR-100, miniImageNet and CUB-200 with 406,272 parameters",
            checks=(
                "12 * 2 * 512 + 512 * 768 + 768 = 406,272 parameters are taught",
                "60 classes and 5 more give a share of 5 / 65",
                "layer l reads 197 + 2 (l + 1) rows of a picture, and as many words as before",
                "without rows it is CLIP, in values and gradients",
            ),
            story=(
                "gradients times a share are rates times it for SGD; AdamW teaches here, which "
                "would undo the former",
                "only a session's own classes stand in its batches, as the mask has it; what is "
                "forgotten over sessions is not measured",
                "small sizes begin from nothing, as no packaged encoder is CLIP's",
            ),
        ),
        scales=parts.two_towers(
            dual.one_side("clip", PAIR),
            objective=Align(contrast=Contrastive(temperature=0.01)),
            small=Align(contrast=Contrastive(temperature=0.07)),
            stages=dual.class_sessions(*CIFAR_100, rate=0.1, batch=4),
            nano=dual.one_side("clip", NANO),
            smol=dual.one_side("clip", SMOL),
            nano_stages=dual.taught_before("clip", rate=1e-3, then=LAST),
            smol_stages=dual.taught_before("clip", rate=5e-4, then=LAST),
            batches=NAMED,
            small_batches=replace(NAMED, sessions=HALVES),
            fuse=Alone(),
        ),
    )
)

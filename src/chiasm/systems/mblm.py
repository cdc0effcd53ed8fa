"""MBLM: words and pixels are bytes in one stream, read in patches of patches."""

from dataclasses import replace

from chiasm.connectors import RawFeatures
from chiasm.encoders import ImageBytes
from chiasm.fusion import PatchesOfPatches
from chiasm.lineages.bytes import BYTES, FEW, LARGE, SMALL
from chiasm.lineages.hosts import NANO
from chiasm.lineages.teaching import everything
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, Fixed, System, derive, register
from chiasm.spec.slots import Level

SYSTEM = register(
    System(
        slug="mblm",
        no=203,
        parent="text-only",
        card=Card(
            paper="Multiscale Byte Language Models (arXiv 2502.14553)",
            differs="no tokenizer, no encoder: 262 ids; each stage reads patches of the next one, "
            "and the innermost spells bytes",
            claim="5M bytes of training context on one GPU; CLEVR on a par with CNN-LSTM heads",
            checks=(
                "changing a byte leaves all earlier logits equal",
                "one stage is the plain language model behind a start row",
                "the length of padding does not change the loss",
                "stage i attends (P_1 ... P_i) P_i pairs, start rows apart",
            ),
            story=("an image of 16 x 16 pixels is 768 bytes before the question",),
        ),
        scales=derive(
            VISION_LANGUAGE,
            every=dict(
                views=Fixed(16, 16), pixels=BYTES, encoder=ImageBytes(), connector=RawFeatures()
            ),
            nano=dict(fusion=PatchesOfPatches(levels=(Level(NANO, 24),)), teaching=FEW, host=SMALL),
            smol=dict(
                fusion=PatchesOfPatches(levels=(Level(LARGE, 16), Level(LARGE, 8))),
                teaching=everything(learning_rate=3e-4),
                host=LARGE,
                template="nano",
            ),
            paper=dict(
                views=Fixed(64, 64),
                fusion=PatchesOfPatches(
                    levels=(Level(replace(LARGE, depth=9), 16), Level(LARGE, 8))
                ),
                teaching=everything(learning_rate=3e-4),
                host=LARGE,
            ),
        ),
    )
)

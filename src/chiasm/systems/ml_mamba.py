"""ML-Mamba: a Mamba-2 language model, and a connector that scans the picture both ways."""

from chiasm.connectors import MambaScan
from chiasm.data.pixels import SIGLIP
from chiasm.lineages.encoders import DINO_SIGLIP_384
from chiasm.lineages.hosts import MAMBA2_2_7B, MAMBA2_130M, NANO_MAMBA
from chiasm.lineages.teaching import without_alignment
from chiasm.lineages.vision_language import SCRATCH, VISION_LANGUAGE
from chiasm.spec import Card, Fixed, StateSpace, System, derive, register

MIXER = StateSpace(heads=80, head_width=64, state=128)

SYSTEM = register(
    System(
        slug="ml-mamba",
        no=13,
        parent="llava-1.5",
        card=Card(
            paper="ML-Mamba: Efficient Multi-Modal Large Language Model Utilizing Mamba-2 "
            "(arXiv 2407.19832)",
            differs="a Mamba-2 host, whose state does not grow; a connector that scans both ways",
            claim="the quality of LLaVA-1.5 with 40% fewer parameters",
            checks=(
                "flipping the tokens and swapping the branches flips the connector's output",
                "the connector keeps 729 tokens",
                "the state is as large after a long prompt as after a short one",
                "text logits do change when visual tokens are permuted",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(
                connector=MambaScan(
                    mixer=StateSpace(heads=4, head_width=32, state=16),
                    ff_width=128,
                    depth=1,
                    expansion=2,
                ),
                host=NANO_MAMBA,
            ),
            smol=dict(
                connector=MambaScan(
                    mixer=StateSpace(heads=24, head_width=64, state=64), ff_width=768
                ),
                teaching=SCRATCH,
                host=MAMBA2_130M,
                template="nano",
            ),
            paper=dict(
                views=Fixed(384, 384),
                pixels=SIGLIP,
                encoder=DINO_SIGLIP_384,
                connector=MambaScan(mixer=MIXER, ff_width=2560),
                teaching=without_alignment(learning_rate=2e-5),
                host=MAMBA2_2_7B,
                template="prismatic",
            ),
        ),
    )
)

"""Zorro's HiP form: groups of latents read one modality each; fusion groups read all."""

from chiasm.connectors import Stage, ZorroHiP
from chiasm.encoders import VisionTransformer
from chiasm.lineages.hosts import SMOLLM2_135M
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, Fixed, System, derive, register

STAGES = (Stage(16, 128, 2), Stage(4, 256, 2), Stage(1, 256, 18))

SYSTEM = register(
    System(
        slug="zorro-hip",
        no=None,
        parent="zorro",
        card=Card(
            paper="Zorro: the masked multimodal transformer (arXiv 2301.09595), its HiP form",
            differs="the rule of pure streams on a block-structured Perceiver",
            claim="as Zorro's; the sizes of its stages are ours",
            checks=(
                "a modality's latents are exactly the same whatever stands beside them, or nothing",
                "fusion latents change with either modality",
                "entangled streams hold as many parameters",
            ),
            story=("a text decoder reads the latents of all three streams",),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(
                connector=ZorroHiP(
                    stages=(Stage(4, 4, 1), Stage(1, 8, 1)), latent_width=96, heads=4, words=64
                )
            ),
            smol=dict(
                connector=ZorroHiP(
                    stages=(Stage(4, 16, 1), Stage(1, 32, 2)), latent_width=384, heads=6, words=128
                )
            ),
            paper=dict(
                views=Fixed(224, 224),
                encoder=VisionTransformer(patch=16, width=768, depth=0, heads=12, ff_width=3072),
                connector=ZorroHiP(stages=STAGES, latent_width=512, heads=8, words=128),
                host=SMOLLM2_135M,
                template="chatml",
            ),
        ),
    )
)

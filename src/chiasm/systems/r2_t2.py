"""R2-T2: a mixture of encoders whose routing is found anew for every test sample."""

from dataclasses import replace

from chiasm.connectors import MLP, WeighedEncoders
from chiasm.data.pixels import CLIP
from chiasm.lineages.several_encoders import NANO_ROUTED, PAPER_ROUTED, SMOL_ROUTED
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, Fixed, System, derive, register

SYSTEM = register(
    System(
        slug="r2-t2",
        no=78,
        parent="llava-1.5",
        card=Card(
            paper="R2-T2: Re-Routing in Test-Time for Multimodal Mixture-of-Experts "
            "(arXiv 2502.20395)",
            differs="a router weighs seven encoders by picture and question; at test time the "
            "weights move towards what suits the nearest samples that were answered rightly "
            "(`chiasm.training.rerouting`), and nothing is trained for it",
            claim="consistent gains over the base router for 7B models (MoAI, MoVA) on eight or "
            "nine sets; an oracle descends on the test label itself",
            checks=(
                "zero steps leave the output the base model's, bit for bit",
                "weights are as before after each sample, and the order of samples has no say",
                "the routing stays on the simplex",
                "10 steps with 5 neighbours cost 150 forward passes",
                "a corrupted router gets back most of what an oracle would gain",
            ),
            story=(
                "the vector of each sample is moved, as the paper has it; the released script "
                "tunes attention modules and keeps what it tuned",
                "seven open encoders stand for MoVA's experts; a fresh router weighs all alike",
                "neighbours are found by the mean of the prompt's word embeddings, in the place "
                "of NV-Embed-v2",
                "bandwidth and share of the mean shift are ours",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(
                encoder=NANO_ROUTED,
                connector=WeighedEncoders(each=MLP(), shares=(1, 1, 1)),
            ),
            smol=dict(
                encoder=SMOL_ROUTED,
                connector=WeighedEncoders(each=MLP(), shares=(1, 4, 1)),
            ),
            paper=dict(
                views=Fixed(1024, 1024),
                pixels=replace(CLIP, fit="squash"),
                encoder=PAPER_ROUTED,
                connector=WeighedEncoders(
                    each=MLP(), shares=(1024, 1152, 1536, 3072, 1024, 1024, 1536)
                ),
            ),
        ),
    )
)

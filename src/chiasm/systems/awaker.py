"""Awaker2.5-VL: low-rank experts chosen once a sequence by its prompt, beside one for all."""

from dataclasses import replace

from chiasm.data.pixels import SIGLIP
from chiasm.experts import AdaptedWeights, LoRA, PromptLoRA
from chiasm.lineages.encoders import SIGLIP_SO400M_384
from chiasm.lineages.expert_language import EXPERT_LANGUAGE
from chiasm.lineages.hosts import QWEN2_7B
from chiasm.lineages.teaching import AWAKER
from chiasm.spec import Card, Fixed, System, derive, register
from chiasm.spec.slots import Site

OUT, GATE, UP, DOWN = Site.OUTPUT, Site.GATE, Site.UP, Site.DOWN
PLAIN = LoRA(sites=tuple(Site)[:3], rank=256, alpha=512.0, dropout=0.05)
ROUTED = PromptLoRA(
    gates=((OUT, OUT), (GATE, GATE), (UP, GATE), (DOWN, GATE)),
    experts=4,
    rank=256,
    alpha=512.0,
    dropout=0.05,
    noise=0.1,
    penalties=(),
)
SMALL = (replace(PLAIN, rank=8, alpha=16.0), replace(ROUTED, rank=8, alpha=16.0))

SYSTEM = register(
    System(
        slug="awaker",
        no=26,
        parent="llava-1.5",
        card=Card(
            paper="Awaker2.5-VL: Stably Scaling MLLMs with Parameter-Efficient Mixture of Experts "
            "(arXiv 2411.10669)",
            differs="LoRA on q, k and v; on the other matrices four low-rank experts and a global "
            "one, chosen a sequence from the mean of the prompt's embeddings",
            claim="Qwen2-VL-7B: MME-RealWorld-CN 55.5 to 62.7, MME-RealWorld 56.5 to 60.8, MMBench "
            "82.4 to 83.7, at 10.8B parameters",
            checks=(
                "2.79B parameters are added: 0.110B and 2.679B",
                "while every B is zero the logits are the base's",
                "all rows of a sequence share one expert",
                "a cached step has the gates of the prompt",
            ),
            story=("the encoder is SigLIP, in place of Qwen2-VL's own",),
        ),
        scales=derive(
            EXPERT_LANGUAGE,
            every=dict(experts=AdaptedWeights(SMALL)),
            paper=dict(
                views=Fixed(384, 384),
                pixels=SIGLIP,
                encoder=SIGLIP_SO400M_384,
                experts=AdaptedWeights((PLAIN, ROUTED)),
                teaching=AWAKER,
                host=QWEN2_7B,
            ),
        ),
    )
)

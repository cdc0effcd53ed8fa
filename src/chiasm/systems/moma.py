"""MoMa: early fusion of image codes and words; experts of each modality take their best rows."""

from chiasm.connectors import CodeEmbedding
from chiasm.data.pixels import Pixels
from chiasm.encoders import ColourCodes
from chiasm.experts import ExpertChoice, Prediction, Router, blocks
from chiasm.lineages.expert_language import EXPERT_LANGUAGE, fine_grained
from chiasm.lineages.hosts import MOMA_1_4B
from chiasm.lineages.teaching import with_experts
from chiasm.lineages.vision_language import SCRATCH
from chiasm.spec import Card, Fixed, System, derive, register
from chiasm.stream import MEDIA, TEXT

PLAIN = Pixels(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
ROUTER = Router(
    eligibility=blocks(4, 4), selection=ExpertChoice(), penalties=(Prediction(),), predictors=64
)
EXPERTS = fine_grained(ROUTER, kinds=(TEXT, MEDIA), hidden=None, shared=0)

SYSTEM = register(
    System(
        slug="moma",
        no=174,
        parent=None,
        card=Card(
            paper="MoMa: Efficient Early-Fusion Pre-training with Mixture of Modality-Aware "
            "Experts (arXiv 2407.21770)",
            differs="each feed-forward is four text and four image experts; experts choose rows, "
            "so that FLOPs equal the dense model's",
            claim="to equal loss, a dense 1.4B model needs 3.7 times the FLOPs (text 2.6, image "
            "5.2); 8 mixed experts save 3 times, with mixture of depths 4.2",
            checks=(
                "the experts of a modality take as many rows as it has: FLOPs equal dense",
                "image rows never alter text experts' gradients",
                "a future row can change an earlier one in training, never with predictors",
                "with mixture of depths, rows that skip a layer stay as they were",
                "savings are dense steps over MoMa's steps to equal loss",
            ),
            story=("codes are colours of patches, in place of a learned tokenizer",),
        ),
        scales=derive(
            EXPERT_LANGUAGE,
            every=dict(pixels=PLAIN, experts=EXPERTS, teaching=with_experts(SCRATCH)),
            nano=dict(encoder=ColourCodes(8, 8), connector=CodeEmbedding(512, 1.0)),
            smol=dict(encoder=ColourCodes(16, 16), connector=CodeEmbedding(4096, 0.04)),
            paper=dict(
                views=Fixed(512, 512),
                encoder=ColourCodes(16, 20),
                connector=CodeEmbedding(8000, 0.02),
                host=MOMA_1_4B,
            ),
        ),
    )
)

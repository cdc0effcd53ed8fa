"""Arcana: a low-rank pair for each modality in every matrix, and queries that climb the encoder."""

from dataclasses import replace

from chiasm.connectors import QueryLadder
from chiasm.encoders import Levels
from chiasm.experts import AdaptedWeights, GroupLoRA
from chiasm.experts.adapters import EVERY_SITE
from chiasm.lineages.encoders import CLIP_L_336, LAYERED_NANO, LAYERED_SMOL
from chiasm.lineages.expert_language import EXPERT_LANGUAGE
from chiasm.lineages.teaching import ARCANA, with_experts
from chiasm.lineages.vision_language import SCRATCH
from chiasm.spec import Card, System, derive, register
from chiasm.stream import MEDIA, TEXT

PAIRS = GroupLoRA(sites=EVERY_SITE, groups=(TEXT, MEDIA), ranks=(192, 64), scale=2.0, dropout=0.0)

SYSTEM = register(
    System(
        slug="arcana",
        no=134,
        parent="llava-1.5",
        card=Card(
            paper="Improving Multi-modal Large Language Model through Boosting Vision Capabilities "
            "(arXiv 2410.13733)",
            differs="LoRA of rank 192 on language rows and of rank 64 on visual ones; 64 queries "
            "read every layer of the frozen encoder beside its patches",
            claim="above LLaVA-1.5 with one shared LoRA of rank 256 on MMBench and TextVQA; both "
            "parts contribute; 64 more tokens",
            checks=(
                "a 4096 x 4096 matrix trains (64 + 192) 8192, as one LoRA of rank 256 does",
                "language LoRA leaves visual rows of that matrix unchanged",
                "patch tokens are bit-equal to the plain encoder's",
                "the ladder holds 302.36M and 65,536; its last rung gets no gradient",
                "LoRA FLOPs of a token are below rank 256 for both kinds",
            ),
            story=("the ladder reads patches only, not the encoder's class token",),
        ),
        scales=derive(
            EXPERT_LANGUAGE,
            nano=dict(
                encoder=Levels(base=LAYERED_NANO, taps=(0, 1, 2)),
                connector=QueryLadder(queries=4, rungs=2, idle=0, heads=4, ff_width=128),
                experts=AdaptedWeights((replace(PAIRS, ranks=(12, 4)),)),
            ),
            smol=dict(
                encoder=Levels(base=LAYERED_SMOL, taps=(0, 1, 2, 3, 4, 5)),
                connector=QueryLadder(queries=16, rungs=6, idle=1, heads=6, ff_width=1536),
                experts=AdaptedWeights((replace(PAIRS, ranks=(48, 16)),)),
                teaching=with_experts(SCRATCH),
            ),
            paper=dict(
                encoder=replace(CLIP_L_336, taps=tuple(range(24))),
                connector=QueryLadder(queries=64, rungs=24, idle=1, heads=16, ff_width=4096),
                experts=AdaptedWeights((PAIRS,)),
                teaching=ARCANA,
            ),
        ),
    )
)

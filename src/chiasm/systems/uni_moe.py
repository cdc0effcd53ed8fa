"""Uni-MoE: every feed-forward becomes four experts, tuned through low-rank deltas of them all."""

from chiasm.experts import LoRA, MixtureOfExperts, Router, TopLogits, everyone
from chiasm.experts.adapters import ATTENTION, FEED_FORWARD
from chiasm.lineages.expert_language import EXPERT_LANGUAGE
from chiasm.lineages.teaching import UNI_MOE
from chiasm.spec import Card, System, derive, register
from chiasm.stream import ALL

SYSTEM = register(
    System(
        slug="uni-moe",
        no=22,
        parent="llava-1.5",
        card=Card(
            paper="Uni-MoE: Scaling Unified Multimodal LLMs with Mixture of Experts "
            "(arXiv 2405.11273)",
            differs="four experts in every layer, two of them a row, from one router over all "
            "modalities; tuned by LoRA on every matrix and a full gate",
            claim="less bias across modalities than one feed-forward on the same mixed data, and "
            "better long-speech and audio-text scores",
            checks=(
                "identical experts give the dense feed-forward",
                "the feed-forward costs twice the dense one, whatever the number of experts",
                "the gate receives gradient",
                "routing of taught experts by modality differs from that of random ones",
            ),
            story=("images only: the speech and audio connectors of the paper are not built",),
        ),
        scales=derive(
            EXPERT_LANGUAGE,
            paper=dict(teaching=UNI_MOE),
            every=dict(
                experts=MixtureOfExperts(
                    kinds=(ALL,),
                    router=Router(eligibility=everyone(4), selection=TopLogits(2), penalties=()),
                    hidden=None,
                    shared=0,
                    first=0,
                    stride=1,
                    adapters=(LoRA(sites=ATTENTION, rank=8, alpha=16.0, dropout=0.05),),
                    expert_lora=LoRA(sites=FEED_FORWARD, rank=8, alpha=16.0, dropout=0.05),
                )
            ),
        ),
    )
)

"""OmniMamba: one Mamba-2 that understands and draws, each task with its own words and deltas."""

from chiasm.connectors import FusedMLP
from chiasm.data.pixels import SIGLIP
from chiasm.heads import CodeHead
from chiasm.lineages.encoders import DINO_SIGLIP_384
from chiasm.lineages.hosts import MAMBA2_1_3B, MAMBA2_130M, NANO_MAMBA, learned_places
from chiasm.lineages.tasks import understanding_and_drawing
from chiasm.lineages.teaching import OMNIMAMBA, with_experts
from chiasm.lineages.vision_language import SCRATCH, VISION_LANGUAGE
from chiasm.spec import Card, Fixed, System, derive, register

SYSTEM = register(
    System(
        slug="omnimamba",
        no=15,
        parent="ml-mamba",
        card=Card(
            paper="OmniMamba: Efficient and Unified Multimodal Understanding and Generation via "
            "State Space Models (arXiv 2503.08686)",
            differs="a second vocabulary, of picture codes; the task selects head and deltas",
            claim="Show-o's quality from 2M pairs; up to 119.2x faster, 63% less memory when long",
            checks=(
                "a task's deltas hold 4,055,040 parameters",
                "a step of understanding gives the deltas and the head of drawing no gradient",
                "at first both tasks are the base model",
                "what decoding holds is constant in length",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(
                connector=FusedMLP(expansion=2),
                experts=understanding_and_drawing(dropout=0.0),
                head=CodeHead(codes=27, rows=16, caption=16, expansion=2),
                teaching=with_experts(SCRATCH),
                host=learned_places(NANO_MAMBA, 512),
            ),
            smol=dict(
                connector=FusedMLP(),
                experts=understanding_and_drawing(dropout=0.05),
                head=CodeHead(codes=512, rows=64, caption=73),
                teaching=with_experts(SCRATCH),
                host=learned_places(MAMBA2_130M, 1500),
                template="nano",
            ),
            paper=dict(
                views=Fixed(384, 384),
                pixels=SIGLIP,
                encoder=DINO_SIGLIP_384,
                connector=FusedMLP(),
                experts=understanding_and_drawing(dropout=0.05),
                head=CodeHead(codes=16_384, rows=256, caption=73),
                teaching=OMNIMAMBA,
                host=learned_places(MAMBA2_1_3B, 1500),
                template="omnimamba",
            ),
        ),
    )
)

"""Aria: 64 small experts and two that always run; routing knows nothing of modality."""

from chiasm.connectors import AriaConnector
from chiasm.data.pixels import SIGLIP
from chiasm.experts import Balance, Router, TopLogits, ZLoss, everyone
from chiasm.lineages.encoders import SIGLIP_SO400M_980
from chiasm.lineages.expert_language import EXPERT_LANGUAGE, fine_grained
from chiasm.lineages.hosts import ARIA_25B
from chiasm.spec import Card, Fixed, System, derive, register

PENALTIES = (ZLoss(coefficient=1e-5), Balance(coefficient=1e-3, per_choice=True))
SMALL = Router(eligibility=everyone(8), selection=TopLogits(2), penalties=PENALTIES)
FULL = Router(eligibility=everyone(64), selection=TopLogits(6), penalties=PENALTIES)

SYSTEM = register(
    System(
        slug="aria",
        no=93,
        parent="llava-1.5",
        card=Card(
            paper="Aria: An Open Multimodal Native Mixture-of-Experts Model (arXiv 2410.05993)",
            differs="every feed-forward is 64 routed experts of width 1664, six a row, beside one "
            "of width 3328; learned queries, 128 or 256, read the patches once",
            claim="3.5B/3.9B active parameters a text/visual token of a 24.9B decoder rival "
            "Pixtral-12B and Llama-3.2-11B",
            checks=(
                "the decoder holds 24.87B parameters",
                "a text row passes 3.60B, embeddings apart",
                "grouped products equal one expert after the other",
                "a uniform router's balance term is 1e-3",
                "the entropy of expert use is told by modality",
            ),
        ),
        scales=derive(
            EXPERT_LANGUAGE,
            nano=dict(
                connector=AriaConnector(queries=((16, 16), (64, 32)), heads=4, ff_width=128),
                experts=fine_grained(SMALL, hidden=64, shared=128),
            ),
            smol=dict(
                connector=AriaConnector(queries=((49, 49),), heads=8, ff_width=576),
                experts=fine_grained(SMALL, hidden=384, shared=768),
            ),
            paper=dict(
                views=Fixed(980, 980),
                pixels=SIGLIP,
                encoder=SIGLIP_SO400M_980,
                connector=AriaConnector(
                    queries=((1225, 128), (4900, 256)), heads=16, ff_width=2560
                ),
                experts=fine_grained(FULL, hidden=1664, shared=3328),
                host=ARIA_25B,
            ),
        ),
    )
)

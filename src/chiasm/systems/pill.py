"""PILL: adapters before attention and feed-forward, pictures' own among them, and gated values."""

from dataclasses import replace

from chiasm.connectors import Linear
from chiasm.data.pixels import CLIP
from chiasm.lineages.adapted import BLIP_2_TOKENS, one_stage, pill
from chiasm.lineages.expert_language import EXPERT_LANGUAGE
from chiasm.spec import Card, Fixed, System, derive, register

LEARNS = one_stage("connector", "experts", learning_rate=2e-3)

SYSTEM = register(
    System(
        slug="pill",
        no=127,
        parent="llava-1.5",
        card=Card(
            paper="PILL: Plug Into LLM with Adapter Expert and Attention Gate (arXiv 2311.02126)",
            differs="a frozen host; gated bottlenecks of 32 units read what attention and the "
            "feed-forward are given, pictures and words by different ones before the latter; the "
            "values of pictures pass a gate a head that starts closed",
            claim="above LLaMA-Adapter, LaVIN and LLaVA on ScienceQA",
            checks=(
                "41,943,040 parameters in the host, 3,149,824 of the projection",
                "at the start nothing is read of a picture's values",
                "text alone is at the start the host's own",
                "pictures' adapters leave text rows of that feed-forward unchanged",
            ),
            story=(
                "with closed gates the keys of pictures still take their share of the softmax",
                "one stage here; the paper's first, on captions, bypasses the gates and teaches "
                "pictures' adapters alone",
                "a resampler of 32 latents stands in for BLIP-2's Q-Former",
            ),
        ),
        scales=derive(
            EXPERT_LANGUAGE,
            every=dict(connector=Linear()),
            nano=dict(experts=pill(8)),
            smol=dict(experts=pill(16), teaching=LEARNS),
            paper=dict(
                views=Fixed(224, 224),
                pixels=CLIP,
                encoder=BLIP_2_TOKENS,
                experts=pill(32),
                teaching=replace(LEARNS, stages=(replace(LEARNS.stages[0], weight_decay=0.02),)),
            ),
        ),
    )
)

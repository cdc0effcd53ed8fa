"""MobileVLM: convolutions behind the MLP leave a quarter of the tokens, for a small host."""

from chiasm.connectors import LDP
from chiasm.lineages.hosts import MOBILE_LLAMA_1_4B
from chiasm.lineages.teaching import aligned
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, System, derive, register

SYSTEM = register(
    System(
        slug="mobilevlm",
        no=160,
        parent="llava-1.5",
        card=Card(
            paper="MobileVLM: A Fast, Reproducible and Strong Vision Language Assistant for Mobile "
            "Devices (arXiv 2312.16886)",
            differs="two inverted residuals behind the MLP, the second of stride 2: 576 tokens "
            "become 144; a host of 1.4 billion parameters",
            claim="1.7B: GQA 56.1, SQA 57.3, TextVQA 41.5, POPE 84.5, MMBench 53.2; 3B: 59.0, "
            "61.2, 47.5, 84.9, 59.6; 21.5 tokens a second on a telephone",
            checks=(
                "the projector holds 18,936,832 parameters, 28,913,920 at width 2560",
                "its second version holds 6,316,032",
                "576 tokens become 144, also on grids that are no squares",
                "prefill at 144 tokens costs the decoder about a third of 576",
            ),
            story=("the second version's projector is PooledLDP(side=12)",),
        ),
        scales=derive(
            VISION_LANGUAGE,
            every=dict(connector=LDP()),
            paper=dict(
                host=MOBILE_LLAMA_1_4B,
                teaching=aligned("connector", "decoder", "head", rates=(1e-3, 2e-5)),
            ),
        ),
    )
)

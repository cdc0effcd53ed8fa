"""AKI: visual rows also see the question that follows them; only the mask changes."""

from chiasm.connectors import PerceiverResampler
from chiasm.data.pixels import SIGLIP
from chiasm.lineages.encoders import SIGLIP_SO400M_384
from chiasm.lineages.hosts import PHI_3_5_MINI
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, Fixed, System, derive, register
from chiasm.visibility import Causal, Everything, Sight, VisualSeesQuestion

SYSTEM = register(
    System(
        slug="aki",
        no=74,
        parent="llava-1.5",
        card=Card(
            paper="Seeing is Understanding: Unlocking Causal Attention into Modality-Mutual "
            "Attention for Multimodal LLMs (arXiv 2503.02597)",
            differs="visual rows also see the user's question, up to the answer's tag; a Perceiver "
            "resampler makes 144 tokens",
            claim="causal to mutual: MME-P 1226 to 1364, MMB 64.9 to 71.8, POPE 79.8 to 82.7",
            checks=(
                "changing an answer token changes no earlier row",
                "changing the question changes the visual rows' keys and values; in a causal model "
                "it does not",
                "without an answer tag the mask is plain causal",
                "the rule adds no parameter",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            every=dict(
                visibility=Sight(sequence=Causal() | VisualSeesQuestion(), memory=Everything())
            ),
            nano=dict(
                connector=PerceiverResampler(
                    latents=16, depth=1, heads=4, head_width=32, project=True
                )
            ),
            smol=dict(
                connector=PerceiverResampler(
                    latents=49, depth=2, heads=8, head_width=64, project=True
                )
            ),
            paper=dict(
                views=Fixed(384, 384),
                pixels=SIGLIP,
                encoder=SIGLIP_SO400M_384,
                connector=PerceiverResampler(
                    latents=144, depth=6, heads=16, head_width=96, project=True
                ),
                host=PHI_3_5_MINI,
            ),
        ),
    )
)

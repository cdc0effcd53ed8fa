"""SAISA: visual tokens are keys and values only, projected anew for every layer."""

from chiasm.connectors import MLP, PerLayer
from chiasm.fusion import TiedMemory
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, System, derive, register

SYSTEM = register(
    System(
        slug="saisa",
        no=7,
        parent="llava-1.5",
        card=Card(
            paper="SAISA (arXiv 2502.02458)",
            differs="no attention among visual tokens; they skip query, output and feed-forward",
            claim="LLaVA-1.5-7B, 576 + 64 tokens: 8.53 to 2.86 TFLOPs",
            checks=(),
        ),
        scales=derive(
            VISION_LANGUAGE, every=dict(connector=PerLayer(MLP()), fusion=TiedMemory())
        ),
    )
)

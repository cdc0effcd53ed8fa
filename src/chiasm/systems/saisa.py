"""SAISA: visual rows are keys and values only, projected from the features anew in every layer."""

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
            paper="SAISA: Towards Multimodal Large Language Models with Both Training and "
            "Inference Efficiency (arXiv 2502.02458)",
            differs="no attention among visual rows; layer i overwrites them with its own P_i(v), "
            "and they skip query, output and feed-forward",
            claim="LLaVA-1.5-7B with 576 visual and 64 text tokens: 8.53 to 2.86 TFLOPs (-66.5%)",
            checks=(
                "the FLOP model gives 8.53 and 2.86 TFLOPs",
                "permuting visual features with their positions leaves text logits unchanged",
                "a visual row's keys and values depend on its own feature only",
                "masked-dense and row-skipping runs agree to 1e-5",
                "the projectors of 32 layers hold 671,350,784 parameters",
            ),
        ),
        scales=derive(VISION_LANGUAGE, every=dict(connector=PerLayer(MLP()), fusion=TiedMemory())),
    )
)

"""BAGEL: two transformers meet in attention; text comes out of one, a flow out of the other."""

from dataclasses import replace

from chiasm.connectors import MLP
from chiasm.data.pixels import SIGLIP
from chiasm.lineages.drawing import DRAWING
from chiasm.lineages.encoders import SIGLIP_SO400M_980
from chiasm.lineages.hosts import QWEN2_7B
from chiasm.spec import Card, NativeResolution, System, derive, register

SYSTEM = register(
    System(
        slug="bagel",
        no=217,
        parent="llava-1.5",
        card=Card(
            paper="Emerging Properties in Unified Multimodal Pretraining (arXiv 2505.14683)",
            differs="two full weight sets in every layer, one for text and image features, one for "
            "latents; pictures are drawn by a rectified flow over latent rows",
            claim="7B active of 14B: GenEval 0.82, MMMU 55.3",
            checks=(
                "the first velocity is 0",
                "rows after a picture are unaffected by its noised copy",
                "equal weights in both sets give what one set gives",
                "the flow's loss gives the last layer's understanding feed-forward no gradient",
            ),
        ),
        scales=derive(
            DRAWING,
            paper=dict(
                views=NativeResolution(longest=980, shortest=224),
                pixels=replace(SIGLIP, fit="native"),
                encoder=SIGLIP_SO400M_980,
                connector=MLP(activation="gelu_pytorch_tanh"),
                host=replace(QWEN2_7B, query_key_norm=True),
                template="chatml",
            ),
        ),
    )
)

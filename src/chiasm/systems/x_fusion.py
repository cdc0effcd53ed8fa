"""X-Fusion: a frozen language model, and a copied tower beside it for what is seen and drawn."""

from dataclasses import replace

from chiasm.compression import NoCompression
from chiasm.connectors import NoConnector
from chiasm.encoders import NoEncoder
from chiasm.experts import DualTower
from chiasm.heads import FlowHead
from chiasm.lineages.drawing import DRAWING, JOINT, PIXELS_16, beside_frozen
from chiasm.lineages.hosts import LLAMA_3_2_1B
from chiasm.spec import Card, Context, Latent, NoViews, System, derive, register

VAE_256 = Latent(height=256, width=256, patch=2, stride=8, channels=4)

SYSTEM = register(
    System(
        slug="x-fusion",
        no=225,
        parent="bagel",
        card=Card(
            paper="X-Fusion: Introducing New Modality to Frozen Large Language Models "
            "(arXiv 2504.20996)",
            differs="the text tower is frozen; the vision tower, a copy of it, reads and draws "
            "latents, and each tower makes keys and values of all rows (experts.keys=modality: of "
            "its own)",
            claim="FID 14.20 against 19.10 of one tower, 20.22 of dual projections, 24.51 of gated "
            "layers; MMLU kept at 32.2, one tower 25.0",
            checks=(
                "logits of text are the language model's own, bit for bit",
                "frozen weights get no gradient",
                "a copied tower gives at the start what one tower gives on vision rows",
            ),
            story=("the weighted sum of both towers' outputs (X-Fuse) is left out",),
        ),
        scales=derive(
            DRAWING,
            every=dict(
                views=NoViews(),
                encoder=NoEncoder(),
                connector=NoConnector(),
                compression=NoCompression(),
                experts=DualTower(),
                head=FlowHead(latent=PIXELS_16, context=Context.ALWAYS),
                teaching=beside_frozen(replace(JOINT, text_weight=1.0), host_share=0.0),
            ),
            nano=dict(teaching=beside_frozen(replace(JOINT, text_weight=1.0), host_share=0.15)),
            paper=dict(
                head=FlowHead(latent=VAE_256, context=Context.ALWAYS),
                host=LLAMA_3_2_1B,
                template="chatml",
            ),
        ),
    )
)

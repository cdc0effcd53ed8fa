"""LaTtE-Flow: each group of layers draws in its own interval of the flow's time."""

from chiasm.data.pixels import SIGLIP
from chiasm.experts import TimestepExperts
from chiasm.fusion import ResidualAttention
from chiasm.heads import FlowHead
from chiasm.lineages import drawing
from chiasm.lineages.encoders import SIGLIP_SO400M_384
from chiasm.lineages.hosts import QWEN2_VL_2B
from chiasm.spec import Card, Context, Fixed, Latent, System, derive, register

DC_AE_256 = Latent(height=256, width=256, patch=1, stride=32, channels=32)

SYSTEM = register(
    System(
        slug="latte-flow",
        no=33,
        parent="bagel",
        card=Card(
            paper="LaTtE-Flow: Layerwise Timestep-Expert Flow-based Transformer (arXiv 2506.06952)",
            differs="K groups of layers, each for its own interval of the flow's time; latents "
            "pass one group a step, beside a frozen model that reads the prompt once (Couple; "
            "in layers of experts.shared they pass the model's own weights: Blend)",
            claim="about 6 times faster than unified models at competitive ImageNet FID",
            checks=(
                "a picture of T steps takes M T layer calls of latents, M layers a group",
                "a step in one group's interval gives other groups no gradient",
                "logits of text are the language model's own, bit for bit",
                "with gates of zero, attention is plain",
            ),
            story=(
                "a SigLIP encoder stands in for Qwen2-VL's own, which has two axes of positions",
                "which layers Blend shares is not published; experts.shared is any set",
            ),
        ),
        scales=derive(
            drawing.DRAWING,
            every=dict(
                visibility=drawing.LATENTS_WHOLE,
                experts=TimestepExperts(copies=drawing.TWO_SETS, times=2),
                fusion=ResidualAttention(times=2),
                head=FlowHead(latent=drawing.PIXELS_16, context=Context.NEVER),
            ),
            nano=dict(teaching=drawing.beside_frozen(drawing.timed(2), host_share=0.25)),
            smol=dict(teaching=drawing.beside_frozen(drawing.timed(2), host_share=0.0)),
            paper=dict(
                views=Fixed(384, 384),
                pixels=SIGLIP,
                encoder=SIGLIP_SO400M_384,
                experts=TimestepExperts(copies=drawing.TWO_SETS, times=4),
                fusion=ResidualAttention(times=4),
                head=FlowHead(latent=DC_AE_256, context=Context.NEVER),
                teaching=drawing.beside_frozen(drawing.timed(4), host_share=0.0),
                host=QWEN2_VL_2B,
                template="chatml",
            ),
        ),
    )
)

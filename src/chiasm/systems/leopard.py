"""Leopard: all images of a sample share one budget of tiles."""

from dataclasses import replace

from chiasm.connectors import ShuffleMLP
from chiasm.data.pixels import SIGLIP
from chiasm.lineages.encoders import SIGLIP_SO400M_364
from chiasm.lineages.hosts import LLAMA_3_8B
from chiasm.lineages.teaching import aligned
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, SharedBudget, System, Tags, derive, register

AROUND = Tags(open="<start>", close="<end>")

SYSTEM = register(
    System(
        slug="leopard",
        no=72,
        parent="llava-1.5",
        card=Card(
            paper="LEOPARD: A Vision Language Model For Text-Rich Multi-Image Tasks "
            "(arXiv 2410.01744)",
            differs="images ask for tiles by their size and share 50 views; 2 x 2 patches become a "
            "token: 169 a view",
            claim="above open models on sets of several images that hold much text",
            checks=(
                "tiles and whole images are at most 50 under 50 images: 8,450 tokens",
                "an image of 364 x 364 pixels is one view",
                "equal images get equal shares",
                "planned beside others, an image takes the rows it is given in a batch",
            ),
            story=(
                "tiles come before the whole image, as in its training",
                "images are not numbered in words; the first stage's rate is ours",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            every=dict(connector=ShuffleMLP(factor=2)),
            nano=dict(views=SharedBudget(side=32, most=6, tags=Tags(open="<", close=">"))),
            smol=dict(views=SharedBudget(side=256, most=6, tags=AROUND)),
            paper=dict(
                views=SharedBudget(side=364, most=50, tags=AROUND),
                pixels=SIGLIP,
                encoder=SIGLIP_SO400M_364,
                host=replace(LLAMA_3_8B, max_positions=16_384),
                teaching=aligned("connector", "decoder", "head", rates=(1e-3, 1e-5)),
            ),
        ),
    )
)

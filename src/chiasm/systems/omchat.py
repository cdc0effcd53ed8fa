"""OmChat: whatever is seen is a text of views of one size, a thumbnail and a line for each tile."""

from chiasm.connectors import CAbstractor
from chiasm.data.pixels import SIGLIP
from chiasm.lineages.encoders import INTERN_VIT_6B_448
from chiasm.lineages.hosts import QWEN2_7B
from chiasm.lineages.teaching import aligned
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import AnyResolution, Card, System, Tags, derive, register

GRIDS = ((1, 2), (2, 1), (2, 2), (1, 3), (3, 1))
LINES = Tags(tile="\npatch:")

SYSTEM = register(
    System(
        slug="omchat",
        no=23,
        parent="llava-1.5",
        card=Card(
            paper="OmChat: A Recipe to Train Multimodal Language Models with Strong Long Context "
            "and Video Understanding (arXiv 2407.04923)",
            differs="the best of five grids of tiles, black around the image, behind a thumbnail; "
            "every tile is a line of text, 'patch:' and its tokens",
            claim="above open models of several images and clips; finds needles in 512K tokens",
            checks=(
                "views are a thumbnail and the cells of the grid",
                "tiles laid side by side are the padded image, bit for bit",
                "lines of tiles and one merged map of them have other counts",
            ),
            story=(
                "the connector is the C-Abstractor of 144 queries; connector=MLP() is its other",
                "the context that grows to 512K and its needles are left out; rates are ours",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(views=AnyResolution(side=32, grids=GRIDS, tags=LINES)),
            smol=dict(views=AnyResolution(side=224, grids=GRIDS, tags=LINES)),
            paper=dict(
                views=AnyResolution(side=448, grids=GRIDS, tags=LINES),
                pixels=SIGLIP,
                encoder=INTERN_VIT_6B_448,
                connector=CAbstractor(side=12, hidden=1024),
                host=QWEN2_7B,
                teaching=aligned("encoder", "connector", "decoder", "head", rates=(1e-3, 2e-5)),
                template="chatml",
            ),
        ),
    )
)

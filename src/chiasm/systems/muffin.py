"""Muffin: a fusion encoder is the bridge; queries take the place of its words."""

from chiasm.connectors import Marked, MultiwayQueries
from chiasm.data.pixels import SIGLIP
from chiasm.lineages.connecting import MUFFIN
from chiasm.lineages.encoders import BEIT_3_PATCHES_448
from chiasm.lineages.hosts import VICUNA_13B
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, Fixed, System, derive, register

SYSTEM = register(
    System(
        slug="muffin",
        no=131,
        parent="llava-1.5",
        card=Card(
            paper="Reformulating Vision-Language Foundation Models and Datasets Towards Universal "
            "Multimodal Assistants (arXiv 2310.00653)",
            differs="no bridge after the encoder: BEiT-3 reads patches and 64 queries in the slot "
            "of its words, with the weights of words, and its states at the queries enter the host",
            claim="chats above LLaVA and InstructBLIP; weights released later: VQAv2 80.0",
            checks=(
                "64 tokens for any resolution, between two marks",
                "queries never touch weights of the image, nor patches those of words",
                "fewer than three queries are refused",
                "which query stands where matters through its learned place alone",
            ),
            story=(
                "the first and the last query start as BEiT-3's words <s> and </s> in the release, "
                "here as drawn as the others; attention's weights are split too, as it has them",
                "the release keeps the image's weights frozen in its first stage; here only patch "
                "embedding, class token and places are",
                "UniMM-Chat, its dialogues merged from annotations of several sets, is not built",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(
                connector=Marked(each=MultiwayQueries(latents=16, depth=2, heads=4, ff_width=256))
            ),
            smol=dict(
                connector=Marked(each=MultiwayQueries(latents=32, depth=2, heads=5, ff_width=1280))
            ),
            paper=dict(
                views=Fixed(448, 448),
                pixels=SIGLIP,
                encoder=BEIT_3_PATCHES_448,
                connector=Marked(
                    each=MultiwayQueries(latents=64, depth=24, heads=16, ff_width=4096)
                ),
                teaching=MUFFIN,
                host=VICUNA_13B,
            ),
        ),
    )
)

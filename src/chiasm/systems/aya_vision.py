"""Aya Vision: blocks of 2 x 2 tokens, and a host merged with the language model it began as."""

from dataclasses import replace

from chiasm.connectors import ShuffleSwiGLU
from chiasm.data.pixels import SIGLIP
from chiasm.lineages.encoders import SIGLIP_SO400M_384
from chiasm.lineages.hosts import COMMAND_R7B
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, Fixed, System, Tiles, derive, register

SIDE_364 = tuple(
    (name, 364 if name == "image_size" else value) for name, value in SIGLIP_SO400M_384.settings
)

SYSTEM = register(
    System(
        slug="aya-vision",
        no=73,
        parent="llava-1.5",
        card=Card(
            paper="Aya Vision: Advancing the Frontier of Multilingual Multimodality "
            "(arXiv 2505.08751)",
            differs="tiles and a thumbnail of 364 pixels, 2 x 2 tokens a block through a SwiGLU; "
            "after teaching, the host's weights are averaged with the language model's",
            claim="win rates up to 79% against larger models; merging raises them by about 50% on "
            "text and 20% on pictures",
            checks=(
                "share 0 gives the language model's logits of text, share 1 the taught model's",
                "a tile's 676 tokens become 169, and blocks can be undone",
                "a model merged with itself is itself",
            ),
            story=(
                "`chiasm merge RUN TEXT --share 0.5`; the share is ours, the paper sweeps it",
                "encoder SigLIP in SigLIP 2's place, of the same sizes; at most 12 tiles",
                "recaptioning and translation of its data are not built",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(
                views=Tiles(side=64, most=2, tagged=False),
                connector=ShuffleSwiGLU(factor=2, hidden=256),
            ),
            smol=dict(views=Fixed(256, 256), connector=ShuffleSwiGLU(factor=2, hidden=1152)),
            paper=dict(
                views=Tiles(side=364, most=12, tagged=False),
                pixels=SIGLIP,
                encoder=replace(SIGLIP_SO400M_384, settings=SIDE_364),
                connector=ShuffleSwiGLU(factor=2, hidden=28_672),
                host=COMMAND_R7B,
                template="chatml",
            ),
        ),
    )
)

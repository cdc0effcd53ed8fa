"""InfiMM-HD: windows of a large picture are read beside the sequence, which stays as short."""

from dataclasses import replace

from chiasm.connectors import ShuffleMLP
from chiasm.data.pixels import CLIP
from chiasm.fusion import GatedCrossAttention
from chiasm.lineages.connecting import INFI_MM_HD, low_rank
from chiasm.lineages.encoders import EVA_CLIP_E_448
from chiasm.lineages.hosts import VICUNA_13B
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, System, Tiles, derive, register
from chiasm.visibility import Causal, PrecedingItem, Sight

READ = GatedCrossAttention(
    every=4, first=3, heads=12, head_width=64, ff_multiple=1, channel_gates=True, units=11
)
TILES = Tiles(side=256, most=4, tagged=False)

SYSTEM = register(
    System(
        slug="infimm-hd",
        no=29,
        parent="flamingo",
        card=Card(
            paper="InfiMM-HD: A Leap Forward in High-Resolution Multimodal Understanding",
            differs="windows and a thumbnail, 2 x 2 tokens joined, no resampler; vectors as gates",
            claim="arXiv 2403.01487; above LLaVA and Flamingo; 13B: TextVQA about 70.7",
            checks=(
                "at the start, it is the host bit for bit",
                "gates get gradient at the first step, the weights behind them none",
                "another earlier image leaves what text after a later one reads directly",
                "the sequence is as long for any number of windows",
            ),
            story=("a window's vector tells its place in reading order, not row and column",),
        ),
        scales=derive(
            VISION_LANGUAGE,
            every=dict(
                visibility=Sight(sequence=Causal(), memory=PrecedingItem()),
                connector=ShuffleMLP(factor=2),
            ),
            nano=dict(
                views=replace(TILES, side=64),
                fusion=replace(READ, every=1, first=0, heads=4, head_width=32, units=6),
            ),
            smol=dict(views=TILES, fusion=replace(READ, units=6)),
            paper=dict(
                views=replace(TILES, side=448, most=9),
                pixels=replace(CLIP, fit="squash"),
                encoder=EVA_CLIP_E_448,
                fusion=READ,
                experts=low_rank(64),
                teaching=INFI_MM_HD,
                host=VICUNA_13B,
            ),
        ),
    )
)

"""MammothModa: visual tokens have attention projections of their own, and one position a frame."""

from chiasm.compression import PooledTokens
from chiasm.connectors import Linear
from chiasm.experts import WeightsByGroup
from chiasm.experts.adapters import ATTENTION
from chiasm.lineages.adapted import SMALL_VISUAL_ATTENTION, VISUAL_ATTENTION
from chiasm.lineages.expert_language import EXPERT_LANGUAGE
from chiasm.positions import OnePerBlock
from chiasm.spec import Card, System, Tiles, derive, register
from chiasm.stream import MEDIA, TEXT

EXPERTS = WeightsByGroup(kinds=(TEXT, MEDIA), sites=ATTENTION, norms=())
MERGER = PooledTokens(frames=1, kept_frames=1, side=12)

SYSTEM = register(
    System(
        slug="mammothmoda",
        no=158,
        parent="llava-1.5",
        card=Card(
            paper="MammothModa: Multi-Modal Large Language Model (arXiv 2406.18193)",
            differs="q, k, v and o of visual rows are copies, the feed-forward is shared; means "
            "over 2 x 2 tokens and a linear map; tiles and a thumbnail; a frame has one position",
            claim="mean 61.2 over a leaderboard, MMBench 81.04, MMMU 54.4, OCRBench 614; the "
            "merger makes inference 1.3 to 1.4 times as fast",
            checks=(
                "copied experts give the base model's logits",
                "text alone is unchanged by training the experts",
                "16 frames of 144 tokens take 16 positions",
                "a tile of 336 pixels becomes 144 tokens, not 576",
                "the mean of a constant map is its value",
            ),
            story=(
                "the host, the feed-forward's sharing, at most 9 tiles and the stages' rates are "
                "not stated and ours",
                "the mean is taken behind the linear map, which gives the same",
            ),
        ),
        scales=derive(
            EXPERT_LANGUAGE,
            every=dict(
                connector=Linear(),
                experts=EXPERTS,
                positions=OnePerBlock(units=True),
            ),
            nano=dict(views=Tiles(side=32, most=2, tagged=False)),
            smol=dict(teaching=SMALL_VISUAL_ATTENTION),
            paper=dict(
                views=Tiles(side=336, most=9, tagged=False),
                compression=MERGER,
                teaching=VISUAL_ATTENTION,
            ),
        ),
    )
)

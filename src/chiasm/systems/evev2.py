"""EVEv2: no vision encoder; every weight of the decoder is doubled, image rows use the copy."""

from chiasm.connectors import LearnedRows
from chiasm.encoders import ConvPatches
from chiasm.experts import WeightsByGroup
from chiasm.experts.adapters import EVERY_SITE
from chiasm.lineages.expert_language import EXPERT_LANGUAGE
from chiasm.lineages.hosts import QWEN2_7B
from chiasm.lineages.teaching import EVE_V2, encoder_free
from chiasm.spec import Card, EqualArea, System, derive, register
from chiasm.spec.slots import NormSite
from chiasm.stream import MEDIA, TEXT

DOUBLED = WeightsByGroup(
    kinds=(TEXT, MEDIA),
    sites=EVERY_SITE,
    norms=(NormSite.ATTENTION, NormSite.FEED_FORWARD, NormSite.QUERY, NormSite.KEY),
)

SYSTEM = register(
    System(
        slug="evev2",
        no=132,
        parent=None,
        card=Card(
            paper="EVEv2: Improved Baselines for Encoder-Free Vision-Language Models "
            "(arXiv 2502.06788)",
            differs="two convolutions make patches; norms, attention and feed-forward are doubled "
            "by modality; attention stays joint and causal",
            claim="above dense, norm-only and mixture variants in data efficiency, near "
            "encoder-based models of its size",
            checks=(
                "1600 x 1600 pixels become 2551 tokens",
                "6,525,618,176 parameters are added",
                "right after copying, logits equal the dense model's",
                "the first stages leave text-only logits bit-equal",
                "an image-only sequence gives text copies no gradient",
            ),
            story=("decoding steps use the text copy: generated rows are text",),
        ),
        scales=derive(
            EXPERT_LANGUAGE,
            every=dict(connector=LearnedRows(first=True, split=True, queries=0), experts=DOUBLED),
            nano=dict(views=EqualArea(64, 16), encoder=ConvPatches(patch=8, merge=2, hidden=64)),
            smol=dict(
                views=EqualArea(384, 32),
                encoder=ConvPatches(patch=16, merge=2, hidden=192),
                teaching=encoder_free(learning_rate=1e-4),
            ),
            paper=dict(
                views=EqualArea(1600, 32),
                encoder=ConvPatches(patch=16, merge=2, hidden=1024),
                teaching=EVE_V2,
                host=QWEN2_7B,
            ),
        ),
    )
)

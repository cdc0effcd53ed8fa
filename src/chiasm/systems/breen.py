"""BREEN: no vision encoder; learned queries after the patches are aligned with CLIP's features."""

from chiasm.connectors import AlignedQueries
from chiasm.encoders import ConvPatches, RawPatches
from chiasm.experts import WeightsByGroup
from chiasm.experts.adapters import FEED_FORWARD
from chiasm.lineages.encoders import CLIP_L_336
from chiasm.lineages.expert_language import EXPERT_LANGUAGE
from chiasm.lineages.hosts import QWEN2_7B
from chiasm.lineages.teaching import encoder_free
from chiasm.spec import Card, Fixed, System, derive, register
from chiasm.stream import MEDIA, TEXT

PIXELS = RawPatches(patch=4)

SYSTEM = register(
    System(
        slug="breen",
        no=12,
        parent=None,
        card=Card(
            paper="BREEN: Bridge Data-Efficient Encoder-Free Multimodal Learning with Learnable "
            "Queries (arXiv 2503.12446)",
            differs="patches and 100 learned queries pass an image expert in every feed-forward; "
            "the queries learn CLIP's pooled features, and CLIP never runs at inference",
            claim="EVE and Mono-InternVL with about 1% of the data; TextVQA 65.7, AI2D 76.4",
            checks=(
                "answering runs no teacher, and no checkpoint holds it",
                "text-only logits are the base's while its weights are frozen",
                "100 further tokens for any image",
                "the alignment's gradient never enters the head",
                "the alignment reads the row before each query",
            ),
            story=(
                "below paper scale the teacher is the pixels of patches, which need no weights",
            ),
        ),
        scales=derive(
            EXPERT_LANGUAGE,
            every=dict(
                connector=AlignedQueries(teacher=PIXELS, side=48, strides=(3, 4), scale=1.0),
                experts=WeightsByGroup(kinds=(TEXT, MEDIA), sites=FEED_FORWARD, norms=()),
            ),
            nano=dict(encoder=ConvPatches(patch=8, merge=2, hidden=64)),
            smol=dict(
                encoder=ConvPatches(patch=16, merge=2, hidden=192),
                teaching=encoder_free(learning_rate=1e-4),
            ),
            paper=dict(
                views=Fixed(672, 672),
                encoder=ConvPatches(patch=14, merge=2, hidden=1024),
                connector=AlignedQueries(teacher=CLIP_L_336, side=336, strides=(3, 4), scale=1.0),
                teaching=encoder_free(learning_rate=1e-4),
                host=QWEN2_7B,
            ),
        ),
    )
)

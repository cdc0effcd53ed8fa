"""CrossLMM: a few pooled tokens a frame in the sequence; they and text read the frame's others."""

from dataclasses import replace

from chiasm.compression import PooledTokens
from chiasm.connectors import PoolThenMLP
from chiasm.data.pixels import SIGLIP
from chiasm.fusion import DualCrossAttention
from chiasm.lineages.encoders import SIGLIP_SO400M_384
from chiasm.lineages.hosts import QWEN2_7B
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, Frames, System, derive, register
from chiasm.stream import MEDIA, TEXT
from chiasm.stream.rule import QueryRows
from chiasm.visibility import Causal, ItemsSoFar, OwnUnit, Sight

POOL = PooledTokens(frames=1, kept_frames=1, side=3)
READS = DualCrossAttention(every=4, heads=28, head_width=128)
OWN_FRAME = (QueryRows(MEDIA) & OwnUnit()) | (QueryRows(TEXT) & ItemsSoFar())

SYSTEM = register(
    System(
        slug="crosslmm",
        no=71,
        parent="llava-1.5",
        card=Card(
            paper="CrossLMM: Decoupling Long Video Sequences from LMMs via Dual Cross-Attention "
            "Mechanisms (arXiv 2505.17020)",
            differs="9 pooled tokens a frame take rows; after self-attention they read their "
            "frame's 81 tokens, and text those of the clip, through gates that start at 0",
            claim="as good as all tokens in context on video, at a ninth of the rows",
            checks=(
                "gates at 0 give the plain model of the pooled tokens",
                "permuting a frame's unpooled tokens leaves logits unchanged",
                "V2V leaves text rows unchanged in its sub-layer, T2V pooled rows",
                "the decoder's own cache does not depend on the 81",
                "a cached step reuses the clip's keys and values",
            ),
            story=("layers, pooling and shared keys are ours; nano pools a clip of one frame",),
        ),
        scales=derive(
            VISION_LANGUAGE,
            every=dict(visibility=Sight(sequence=Causal(), memory=OWN_FRAME), compression=POOL),
            nano=dict(
                fusion=DualCrossAttention(every=3, heads=4, head_width=32),
                compression=replace(POOL, side=2),
            ),
            smol=dict(fusion=DualCrossAttention(every=4, heads=9, head_width=64)),
            paper=dict(
                views=Frames(32, 384, 384),
                pixels=SIGLIP,
                encoder=SIGLIP_SO400M_384,
                connector=PoolThenMLP(factor=3),
                fusion=READS,
                host=QWEN2_7B,
            ),
        ),
    )
)

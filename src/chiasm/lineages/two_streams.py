"""Two encoders in lock step: words in one, regions in the other (ViLBERT, arXiv 1908.02265)."""

from dataclasses import replace

from chiasm.connectors import Regions
from chiasm.encoders import EfficientNetLite0
from chiasm.fusion import CoAttention
from chiasm.lineages.single_stream import BERT_BASE, NANO_TRUNK, PREFIX
from chiasm.lineages.teaching import everything
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Fixed, Host, derive
from chiasm.visibility import Everything, PromptKeys

VISION = replace(BERT_BASE, width=1024, heads=8, kv_heads=8, head_width=128, ff_width=1024, depth=6)
"""ViLBERT's vision stream."""

NANO_TEXT = replace(NANO_TRUNK, arrangement="post", embedding_norm=True, final_norm=False, depth=4)
NANO_VISION = replace(NANO_TEXT, width=96, heads=3, kv_heads=3, ff_width=192, depth=2)


def beside(tower: Host) -> CoAttention:
    """A tower that sees all of its regions, and the prompt of the text."""
    return CoAttention(
        tower=tower,
        rule=Everything(),
        back=PromptKeys(),
        heads=tower.heads,
        head_width=tower.head_width,
    )


TWO_STREAMS = derive(
    VISION_LANGUAGE,
    every=dict(visibility=PREFIX, connector=Regions()),
    nano=dict(fusion=beside(NANO_VISION), host=NANO_TEXT),
    smol=dict(
        fusion=beside(replace(VISION, width=512, head_width=64)),
        teaching=everything(learning_rate=1e-4),
    ),
    paper=dict(
        views=Fixed(192, 192),
        encoder=EfficientNetLite0(level="head"),
        fusion=beside(VISION),
        teaching=everything(learning_rate=1e-4),
        host=BERT_BASE,
        template="chatml",
    ),
)
"""Text layers alone first; then each pair of layers begins with co-attention both ways."""


def half(host: Host) -> Host:
    """Heads and feed-forwards half as wide; norms of queries would tie the channels of heads."""
    return replace(
        host, head_width=host.head_width // 2, ff_width=host.ff_width // 2, query_key_norm=False
    )


HALF_STREAMS = derive(
    TWO_STREAMS,
    nano=dict(fusion=beside(half(NANO_VISION)), host=half(NANO_TEXT)),
    smol=dict(fusion=beside(half(replace(VISION, width=512, head_width=64)))),
    paper=dict(fusion=beside(half(VISION)), host=half(BERT_BASE)),
)
"""The same with half the prunable weights in every layer, where a search begins or ends; a packaged
text stream, whose heads turn by rotary positions, keeps its own."""

"""Slow-Fast: few tokens of a clip in the sequence; text reads all of them in hybrid layers."""

from dataclasses import replace

from chiasm.compression import PooledTokens
from chiasm.connectors import MLPThenPool
from chiasm.encoders import FrameStack
from chiasm.fusion import SlowFast
from chiasm.lineages.encoders import CLIP_L_336
from chiasm.lineages.hosts import QWEN2_7B
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, Fixed, System, derive, register

FRAMES, SIDE = 128, 252
PICTURE = PooledTokens(frames=1, kept_frames=1, side=2)

SYSTEM = register(
    System(
        slug="slow-fast",
        no=60,
        parent="llava-1.5",
        card=Card(
            paper="Slow-Fast Architecture for Video Multi-Modal Large Language Models "
            "(arXiv 2504.01328)",
            differs="a clip's tokens, averaged over time, take rows of the sequence; in every 8th "
            "layer text also reads all of them, through a gate that starts at 0",
            claim="128 frames instead of 16 at +3% compute; +16% on average over five benchmarks",
            checks=(
                "with w = 0 logits equal those of the fast tokens alone",
                "permuting the slow tokens leaves logits unchanged",
                "a hybrid layer of Qwen2-7B adds 3,674,626 parameters",
                "16 to 128 frames cost the decoder about 2% at 64 text tokens",
            ),
            story=(
                "a clip enters as one picture of stacked frames; an image is a clip of one frame, "
                "whose fast tokens are means over its quarters",
                "CLIP-L at 252 pixels stands in for ConvNeXt at 576: both give 18 x 18 tokens",
                "the slow keys' projection starts at random, where the paper copies the host's",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(fusion=SlowFast(every=2), compression=PICTURE),
            smol=dict(fusion=SlowFast(every=8), compression=replace(PICTURE, side=3)),
            paper=dict(
                views=Fixed(FRAMES * SIDE, SIDE),
                encoder=FrameStack(each=CLIP_L_336, frames=FRAMES),
                connector=MLPThenPool(factor=2),
                compression=PooledTokens(frames=FRAMES, kept_frames=16, side=None),
                fusion=SlowFast(every=8),
                host=QWEN2_7B,
            ),
        ),
    )
)

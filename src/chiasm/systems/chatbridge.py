"""ChatBridge: one Q-Former reads a clip whole, each frame told by a learned vector."""

from dataclasses import replace

from chiasm.connectors import QFormer, Timed
from chiasm.data.pixels import CLIP
from chiasm.encoders import FrameStack
from chiasm.lineages.connecting import CHAT_BRIDGE
from chiasm.lineages.encoders import EVA_CLIP_G_224
from chiasm.lineages.hosts import VICUNA_13B
from chiasm.lineages.teaching import connector_only
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, Fixed, System, derive, register

FORMER = QFormer(latents=32, depth=12, heads=12, head_width=64, ff_width=3072)
SMALL = replace(FORMER, depth=4, heads=6, ff_width=1536)
TINY = replace(SMALL, latents=16, depth=2, heads=4, head_width=32, ff_width=256)

SYSTEM = register(
    System(
        slug="chatbridge",
        no=90,
        parent="llava-1.5",
        card=Card(
            paper="ChatBridge: Bridging Modalities with Large Language Model as a Language "
            "Catalyst (arXiv 2305.16103)",
            differs="four frames side by side, a learned vector added to each, pass BLIP-2's "
            "Q-Former once; 32 tokens a clip, beside a frozen encoder and a frozen host",
            claim="zero-shot on image, video, audio and audio-visual tasks, from pairs with "
            "language alone",
            checks=(
                "32 tokens for a clip of any length",
                "frames in another order are the same clip at first, and another after teaching",
                "the host stays as it is",
            ),
            story=(
                "pictures and clips; the audio encoder, and its own 32 queries, are not built",
                "nano and smol read a picture as a clip of one frame",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(connector=Timed(each=TINY, frames=1)),
            smol=dict(
                connector=Timed(each=SMALL, frames=1),
                teaching=connector_only(learning_rate=5e-4),
            ),
            paper=dict(
                views=Fixed(4 * 224, 224),
                pixels=CLIP,
                encoder=FrameStack(each=EVA_CLIP_G_224, frames=4),
                connector=Timed(each=FORMER, frames=4),
                teaching=CHAT_BRIDGE,
                host=VICUNA_13B,
            ),
        ),
    )
)

"""PAL: media join late, as keys and values only, from two encoders read by one connector."""

from chiasm.connectors import SharedLatents
from chiasm.data.pixels import LLAVA
from chiasm.encoders import ChannelConcat, VisionTransformer
from chiasm.fusion import DelayedKeys
from chiasm.lineages.vision_language import LITE, VISION_LANGUAGE
from chiasm.spec import Card, Fixed, System, derive, register

SMALL = VisionTransformer(patch=16, width=96, depth=1, heads=4, ff_width=192, stem=(32, 64, 96, 96))
BASE = VisionTransformer(patch=16, width=768, depth=12, heads=12, ff_width=3072)
SAME = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))

SYSTEM = register(
    System(
        slug="pal",
        no=195,
        parent="llava-1.5",
        card=Card(
            paper="PAL: Probing Audio Encoders via LLMs - A Study of Information Transfer from "
            "Audio Encoders to LLMs (arXiv 2506.10423)",
            differs="the first quarter of the layers runs text alone; then media rows are keys and "
            "values that no layer changes; two encoders are read by the same latents",
            claim="against tokens at the input under the same curriculum, +10% to +60% relative; "
            "its successor LAL: memory -64%, throughput up to +247%",
            checks=(
                "hidden states before the entry do not depend on the media",
                "permuting media tokens with their positions leaves text unchanged",
                "a media token saves query, output and feed-forward: 83% of a 7B layer's MACs",
                "text alone is the host",
            ),
            story=(
                "a spectrogram enters as a picture: 1,024 frames of 128 mel bins; on picture data "
                "the picture itself takes its place",
                "two plain transformers of base size stand in for SSLAM and CLAP",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(
                encoder=ChannelConcat(parts=(SMALL, SMALL), given=SAME, moments=(SAME, SAME)),
                connector=SharedLatents(latents=16, parts=2, heads=4, head_width=24),
                fusion=DelayedKeys(first=1),
            ),
            smol=dict(
                pixels=LITE,
                encoder=ChannelConcat(parts=(BASE, BASE), given=SAME, moments=(SAME, SAME)),
                connector=SharedLatents(latents=32, parts=2, heads=12, head_width=64),
                fusion=DelayedKeys(first=7),
            ),
            paper=dict(
                views=Fixed(1024, 128),
                pixels=LLAVA,
                encoder=ChannelConcat(parts=(BASE, BASE), given=SAME, moments=(SAME, SAME)),
                connector=SharedLatents(latents=64, parts=2, heads=12, head_width=64),
                fusion=DelayedKeys(first=8),
            ),
        ),
    )
)

"""Idefics2: native aspect ratio, a gated projection and a resampler at the host's width."""

from chiasm.connectors import Idefics2Connector
from chiasm.data.pixels import Pixels
from chiasm.encoders import VisionTransformer
from chiasm.lineages.encoders import SIGLIP_SO400M_980
from chiasm.lineages.hosts import IDEFICS2_MISTRAL
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, NativeResolution, System, derive, register

NATIVE = Pixels(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5), fit="native", resample="bilinear")

SYSTEM = register(
    System(
        slug="idefics2",
        no=45,
        parent="llava-1.5",
        card=Card(
            paper="What matters when building vision-language models? (arXiv 2405.02246)",
            differs="images at their own aspect ratio up to 980 pixels; a gated MLP and a "
            "resampler of 64 latents at the host's width",
            claim="8B, open data: autoregressive beats cross-attention once backbones are adapted, "
            "69.5 against 67.3",
            checks=(
                "logits equal transformers' Idefics2ForConditionalGeneration given equal weights",
                "64 tokens for any size",
                "padded patches cannot change the output",
                "permuting the context after positions leaves the latents equal",
            ),
            story=("at smol scale the packaged encoder takes a fixed square",),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(
                views=NativeResolution(longest=64, shortest=32),
                pixels=NATIVE,
                encoder=VisionTransformer(patch=8, width=128, depth=2, heads=4, ff_width=256),
                connector=Idefics2Connector(
                    latents=16, depth=1, heads=4, kv_heads=2, head_width=32, ff_width=352
                ),
            ),
            smol=dict(
                connector=Idefics2Connector(
                    latents=32, depth=2, heads=8, kv_heads=2, head_width=64, ff_width=1536
                )
            ),
            paper=dict(
                views=NativeResolution(longest=980, shortest=378),
                pixels=NATIVE,
                encoder=SIGLIP_SO400M_980,
                connector=Idefics2Connector(
                    latents=64, depth=3, heads=16, kv_heads=4, head_width=96, ff_width=14_336
                ),
                host=IDEFICS2_MISTRAL,
                template="idefics2",
            ),
        ),
    )
)

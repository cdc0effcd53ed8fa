"""Flamingo: layers read an image's latents through gated cross-attention of their own."""

from chiasm.connectors import PerceiverResampler
from chiasm.fusion import GatedCrossAttention
from chiasm.lineages.teaching import connector_only
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, System, derive, register
from chiasm.visibility import Causal, PrecedingItem, Sight

SYSTEM = register(
    System(
        slug="flamingo",
        no=69,
        parent="llava-1.5",
        card=Card(
            paper="Flamingo: a Visual Language Model for Few-Shot Learning (arXiv 2204.14198)",
            differs="64 resampled latents an image, read by zero-gated cross-attention before "
            "every 4th layer of a frozen host; text sees the last image before it",
            claim="80B: VQAv2 56.3 / 63.1 / 67.6 at 0 / 4 / 32 shots; 3B without tanh gates -4.2",
            checks=(
                "at the start, logits are the host's own, bit for bit",
                "frozen weights stay bit-identical over steps",
                "text after image k+1 does not read image k directly",
                "a model taught with 5 images a sample runs on 32",
                "the resampler gives 64 latents for any number of features",
            ),
            story=("the CLIP-L encoder stands in for NFNet-F6, which has no open weights",),
        ),
        scales=derive(
            VISION_LANGUAGE,
            every=dict(visibility=Sight(sequence=Causal(), memory=PrecedingItem())),
            nano=dict(
                connector=PerceiverResampler(latents=16, depth=1, heads=4, head_width=32),
                fusion=GatedCrossAttention(every=1, heads=4, head_width=32),
            ),
            smol=dict(
                connector=PerceiverResampler(latents=32, depth=2, heads=8, head_width=64),
                fusion=GatedCrossAttention(every=4, heads=8, head_width=64),
                teaching=connector_only(learning_rate=5e-4),
            ),
            paper=dict(
                connector=PerceiverResampler(latents=64, depth=6, heads=8, head_width=64),
                fusion=GatedCrossAttention(every=4, heads=8, head_width=64),
                teaching=connector_only(learning_rate=1e-4),
            ),
        ),
    )
)

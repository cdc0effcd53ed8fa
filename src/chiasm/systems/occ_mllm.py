"""OCC-MLLM: two encoders, one of them for what is hidden, mixed by a learned share."""

from dataclasses import replace

from chiasm.connectors import MLP, MixedHalves
from chiasm.encoders import ChannelConcat, EfficientNetLite0, VisionTransformer
from chiasm.lineages.encoders import CLIP_L_336
from chiasm.lineages.teaching import everything
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, Scale, System, derive, register

SAME = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
OURS = VisionTransformer(patch=32, width=320, depth=2, heads=5, ff_width=1280)
NANO = VISION_LANGUAGE[Scale.NANO].encoder

SYSTEM = register(
    System(
        slug="occ-mllm",
        no=164,
        parent="llava-1.5",
        card=Card(
            paper="OCC-MLLM-Alpha: Empowering Multi-modal Large Language Model for the "
            "Understanding of Occluded Objects with Self-Supervised Test-Time Learning "
            "(arXiv 2410.01261)",
            differs="a second encoder, of what a reconstruction sees behind the occluder, is mixed "
            "with the first by a learned share; a test sample may adapt the model before it is "
            "answered (`chiasm.training.test_time`)",
            claim="+16.92% on SOMVideo, objects held in a hand",
            checks=(
                "with a share of 1 it is the model of one encoder",
                "after a test sample every weight is what it was, bit for bit",
                "without steps nothing changes",
                "no label is read at test time",
            ),
            story=(
                "the mixture is the predecessor's, its share starting at 0.9; both encoders see "
                "the same pixels, as no reconstruction of objects is at hand",
                "the loss of the hidden object's class is left out: its form is not published",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            every=dict(connector=MixedHalves(each=MLP())),
            nano=dict(encoder=ChannelConcat(parts=(NANO, NANO), given=SAME, moments=(SAME, SAME))),
            smol=dict(
                encoder=ChannelConcat(
                    parts=(EfficientNetLite0(), OURS), given=SAME, moments=(SAME, SAME)
                ),
                teaching=everything(learning_rate=1e-4),
            ),
            paper=dict(
                encoder=ChannelConcat(
                    parts=(CLIP_L_336, replace(CLIP_L_336, taps=(-1,))),
                    given=SAME,
                    moments=(SAME, SAME),
                )
            ),
        ),
    )
)

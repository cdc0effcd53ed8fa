"""MUDAIF: two attention layers over raw patches; words and patches read each other, gated."""

from dataclasses import replace

from chiasm.connectors import Linear
from chiasm.encoders import VisionTransformer
from chiasm.fusion import MutualReads
from chiasm.lineages.teaching import everything
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, System, derive, register
from chiasm.visibility import Causal, VisualSeesQuestion

READS = MutualReads(rule=Causal(), back=VisualSeesQuestion(), every=4, heads=8, head_width=64)
ADAPTER = VisionTransformer(patch=14, width=1024, depth=2, heads=16, ff_width=4096)

SYSTEM = register(
    System(
        slug="mudaif",
        no=227,
        parent="llava-1.5",
        card=Card(
            paper="Optimizing Vision-Language Interactions Through Decoder-Only Models "
            "(arXiv 2412.10758)",
            differs="no encoder: a convolution and two attention layers make patches into tokens; "
            "before every fourth layer words and patches read each other behind gates",
            claim="to exceed encoder-based models; its figures are not verified",
            checks=(
                "with closed gates it is a plain decoder of patches",
                "another answer alters no earlier row",
                "without a question, patches stay as they are",
                "the picture's size gives the number of tokens",
            ),
            story=(
                "sizes of the adapter, the layers, heads and gates are ours; the paper's were not "
                "at hand",
                "a patch reads the question behind it, of its own turn; its contrastive term of "
                "pooled patches and words is left out",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            every=dict(connector=Linear(), fusion=READS),
            nano=dict(fusion=replace(READS, every=2, heads=4, head_width=32)),
            smol=dict(
                encoder=replace(ADAPTER, width=384, heads=6, ff_width=1536),
                fusion=replace(READS, heads=9),
                teaching=everything(learning_rate=1e-4),
            ),
            paper=dict(
                encoder=ADAPTER,
                fusion=replace(READS, heads=32, head_width=128),
                teaching=everything(learning_rate=2e-5),
            ),
        ),
    )
)

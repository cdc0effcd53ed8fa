"""mPLUG-Owl3: an image is one row; hyper-attention layers read its tokens beside the sequence."""

from chiasm.connectors import Linear
from chiasm.data.pixels import SIGLIP
from chiasm.fusion import HyperAttention, Merge
from chiasm.lineages.encoders import SIGLIP_SO400M_384
from chiasm.lineages.hosts import QWEN2_7B
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, Fixed, System, derive, register
from chiasm.visibility import Causal, ItemsSoFar, Sight

SYSTEM = register(
    System(
        slug="mplug-owl3",
        no=135,
        parent="llava-1.5",
        card=Card(
            paper="mPLUG-Owl3: Towards Long Image-Sequence Understanding in Multi-Modal Large "
            "Language Models (arXiv 2408.04840)",
            differs="images stay out of the sequence, one row each; four layers read their tokens "
            "with the sequence's own queries, keys turned by the image's row, behind a gate",
            claim="distractor resistance to 400 images; 7B: NextQA 78.6, MVBench 54.5, VideoMME "
            "53.5, NLVR2 90.8, VQAv2 82.1",
            checks=(
                "shuffling the patches within an image leaves logits unchanged",
                "an image placed after a row does not affect it",
                "without an image it is its host",
                "a hyper-attention layer adds d 2d_kv + 2d_kv parameters",
            ),
            story=(
                "fusion.merge=joined is the later release's reading: one softmax, no gate",
                "the gate is one number a row; the paper leaves its granularity open",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            every=dict(
                connector=Linear(),
                fusion=HyperAttention(every=8, merge=Merge.BESIDE),
                visibility=Sight(sequence=Causal(), memory=ItemsSoFar()),
            ),
            nano=dict(fusion=HyperAttention(every=2, merge=Merge.BESIDE)),
            paper=dict(
                views=Fixed(384, 384),
                pixels=SIGLIP,
                encoder=SIGLIP_SO400M_384,
                host=QWEN2_7B,
            ),
        ),
    )
)

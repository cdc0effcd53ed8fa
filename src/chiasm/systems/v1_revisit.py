"""v1: the answer points at patches, and reads what it points at again."""

from dataclasses import replace

from chiasm.connectors import ShuffleMLP
from chiasm.data.pixels import CLIP
from chiasm.encoders import RotaryViT
from chiasm.heads import PointerHead
from chiasm.lineages.hosts import QWEN2_7B
from chiasm.lineages.teaching import without_alignment
from chiasm.lineages.vision_language import ADAPTED, SCRATCH, VISION_LANGUAGE
from chiasm.objectives import JointClasses
from chiasm.positions import MultimodalRotary
from chiasm.spec import Card, EqualArea, System, derive, register

QWEN2_5_VIT = RotaryViT(patch=14, hidden=1280, depth=32, heads=16, ff_width=3420)
TUNED = replace(without_alignment(learning_rate=1e-5), objective=JointClasses())

SYSTEM = register(
    System(
        slug="v1-revisit",
        no=116,
        parent="llava-1.5",
        card=Card(
            paper="Don't Look Only Once: Towards Multimodal Interactive Reasoning with Selective "
            "Visual Revisitation (arXiv 2505.18842)",
            differs="image rows are further classes of the vocabulary, scored by their final "
            "hidden states; such an id, once said, is read as the embedding of its image row",
            claim="gains on Qwen2.5-VL-7B: MathVista, MathVision, MathVerse; most for fine detail",
            checks=(
                "pointing at class j feeds exactly the embedding of image row j",
                "permuting image tokens permutes their scores",
                "without an image no class is open; words are scored as by the host",
                "2 (d^2 + d) parameters are added",
                "cached decoding equals uncached",
            ),
            story=(
                "the encoder attends everywhere, the paper's within windows but for four layers",
                "a prompt's image rows are named in reading order, at most `pointers` of them",
                "one cross-entropy over words and pointers; the paper also offers two apart",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            every=dict(head=PointerHead(pointers=64)),
            nano=dict(teaching=replace(SCRATCH, objective=JointClasses())),
            smol=dict(teaching=replace(ADAPTED, objective=JointClasses())),
            paper=dict(
                views=EqualArea(side=672, multiple=28),
                pixels=replace(CLIP, fit="squash"),
                encoder=QWEN2_5_VIT,
                connector=ShuffleMLP(factor=2),
                head=PointerHead(pointers=4096),
                positions=MultimodalRotary(),
                teaching=TUNED,
                host=replace(QWEN2_7B, rope_sections=(16, 24, 24)),
            ),
        ),
    )
)

"""eP-ALM: one row of a picture enters a frozen model late, and is written anew layer by layer."""

from chiasm.connectors import ClassTokens
from chiasm.data.pixels import SIGLIP
from chiasm.fusion import LateClassTokens
from chiasm.lineages.encoders import CLASSES_NANO, CLASSES_SMOL, VIT_B_CLASSES
from chiasm.lineages.hosts import OPT_2_7B
from chiasm.lineages.late_entry import SECLUDED
from chiasm.lineages.teaching import EP_ALM
from chiasm.lineages.vision_language import SCRATCH, VISION_LANGUAGE
from chiasm.positions import WordsAlone
from chiasm.spec import Card, Fixed, System, derive, register

SYSTEM = register(
    System(
        slug="ep-alm",
        no=209,
        parent="llava-1.5",
        card=Card(
            paper="eP-ALM: Efficient Perceptual Augmentation of Language Models (arXiv 2303.11403)",
            differs="class tokens of the last encoder layers, by one shared map, take turns in one "
            "row that joins the sequence in mid-stack; a soft prompt; everything else is frozen",
            claim="over 99% frozen; better than a linear prefix on images, video and audio",
            checks=(
                "connector 1,968,640 and prompt 25,600 parameters learn over OPT-2.7B",
                "layers before the entry do not depend on the picture",
                "the sequence is one row longer from the entry on",
                "a changed answer does not alter earlier logits",
            ),
            story=("words before a picture do not see its row; ViT-B has CLIP's blocks here",),
        ),
        scales=derive(
            VISION_LANGUAGE,
            every=dict(
                visibility=SECLUDED,
                connector=ClassTokens(levels=6),
                positions=WordsAlone(learned=10),
            ),
            nano=dict(
                encoder=CLASSES_NANO,
                connector=ClassTokens(levels=2),
                fusion=LateClassTokens(first=1, last=3, levels=2, prompts=10),
            ),
            smol=dict(
                encoder=CLASSES_SMOL,
                fusion=LateClassTokens(first=17, last=29, levels=6, prompts=10),
                teaching=SCRATCH,
            ),
            paper=dict(
                views=Fixed(224, 224),
                pixels=SIGLIP,
                encoder=VIT_B_CLASSES,
                fusion=LateClassTokens(first=19, last=31, levels=6, prompts=10),
                teaching=EP_ALM,
                host=OPT_2_7B,
                template="prismatic",
            ),
        ),
    )
)

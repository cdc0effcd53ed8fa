"""UniTNT: words found in the picture are a third modality, which layers read behind a zero gate."""

from chiasm.connectors import RawFeatures
from chiasm.encoders import VisionTransformer
from chiasm.fusion import SceneWords, WordEncoder
from chiasm.lineages.single_stream import BERT_BASE, PREFIX
from chiasm.lineages.teaching import everything
from chiasm.lineages.two_streams import NANO_TEXT
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, Fixed, System, derive, register

NANO = WordEncoder(depth=1, heads=4, head_width=32, ff_width=256)
SMOL = WordEncoder(depth=2, heads=6, head_width=64, ff_width=1536)
FULL = WordEncoder(depth=12, heads=12, head_width=64, ff_width=3072)

SYSTEM = register(
    System(
        slug="unitnt",
        no=140,
        parent="llava-1.5",
        card=Card(
            paper="Towards Models that Can See and Read (arXiv 2301.07389)",
            differs="an OCR's words and boxes are encoded beside the question; after its read of "
            "the picture every layer reads them too, behind a gate that starts shut",
            claim="over the same model taught on the same sets: VQAv2 up to +2.69 points, COCO up "
            "to +0.6 CIDEr; BLIP alone reaches 61.9 CIDEr on TextCaps",
            checks=(
                "with the gate at 0, or without words, logits are the base model's",
                "words in another order, each with its box, change only by their places in line",
                "another word found on the same pixels changes the answer",
                "samples without words are taught nothing besides their answers",
            ),
            story=(
                "one decoder stands for BLIP's two: the prompt sees itself, an answer is spelt; "
                "answers are words of the host, read by attention and never copied",
                "the gate's form, the auxiliary losses' weights of 1 and a share of 0.15 hidden "
                "words are ours; so is the map by which the words' encoder reads the question",
                "words are an example's `spots`; bills are of pictures without words",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            every=dict(visibility=PREFIX, connector=RawFeatures()),
            nano=dict(fusion=SceneWords(words=NANO), host=NANO_TEXT),
            smol=dict(fusion=SceneWords(words=SMOL), teaching=everything(learning_rate=1e-4)),
            paper=dict(
                views=Fixed(384, 384),
                encoder=VisionTransformer(patch=16, width=768, depth=12, heads=12, ff_width=3072),
                fusion=SceneWords(words=FULL),
                teaching=everything(learning_rate=2e-5),
                host=BERT_BASE,
                template="chatml",
            ),
        ),
    )
)

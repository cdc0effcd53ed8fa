"""DeepStyle: picture and words make one vector, which tells its class and its neighbours."""

from dataclasses import replace

from chiasm.embedders.batches import Batches, Takes, Task
from chiasm.embedders.stages import ClassesAndMargin, Joined, LinearHead
from chiasm.lineages import embedders as parts
from chiasm.spec import Card, Stage
from chiasm.spec.embedder import EmbedderSystem, register_embedder

ITEM = Task(
    name="item-to-item",
    query=(Takes.PICTURE, Takes.TEXT),
    document=(Takes.PICTURE, Takes.OTHER),
)
TO_PICTURE = Task(name="words-to-item", query=(Takes.TEXT,), document=(Takes.PICTURE,))
SMALL = ClassesAndMargin(width=96, classes=4096)
TAUGHT = ("text", "image.head", "fusion", "score")
STAGES = (
    Stage(name="heads", trained=TAUGHT, learning_rate=1e-3, share=0.5, batch=64),
    Stage(name="all", trained=(*TAUGHT, "image"), learning_rate=1e-4, share=0.5, batch=64),
)

SYSTEM = register_embedder(
    EmbedderSystem(
        slug="deepstyle",
        no=111,
        parent="align",
        card=Card(
            paper="DeepStyle: Multimodal Search Engine for Fashion and Interior Design "
            "(arXiv 1801.03002)",
            differs="both sides pass one network that joins picture and words; a classifier and a "
            "margin stand for the softmax over a batch; words are read by BERT, and what belongs "
            "together is a pair's two descriptions and not an outfit",
            claim="style similarity of what is found: +18% (fashion), +21% (interiors) over "
            "blended rankings",
            checks=(
                "an item is at distance 0 from itself, and distances are symmetric",
                "pairs that belong together cost nothing at distance 0, others beyond the margin",
                "other words move the ranking while the picture stays",
            ),
        ),
        scales=parts.two_towers(
            (
                parts.text_tower(parts.BERT_BASE, parts.FIRST, LinearHead(out=512)),
                parts.image_tower(parts.RESNET_50_PICTURES, parts.MEAN, LinearHead(out=512)),
            ),
            objective=ClassesAndMargin(width=256, classes=4096),
            small=SMALL,
            stages=STAGES,
            smol_stages=(replace(parts.WORDS_LEARN, learning_rate=1e-4),),
            fuses=(Joined(out=96), Joined(out=96), Joined(out=256)),
            batches=Batches(tasks=(ITEM, TO_PICTURE)),
        ),
    )
)

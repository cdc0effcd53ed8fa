"""GRAM: an item's modalities and a text match where their vectors span little volume."""

from chiasm.embedders.batches import Batches, Takes, Task
from chiasm.embedders.stages import Align, Apart, HardMatches, Volume
from chiasm.lineages import embedders as parts
from chiasm.lineages.multimodal_embedders import EVERY
from chiasm.objectives import Contrastive
from chiasm.spec import Card, Stage
from chiasm.spec.embedder import EmbedderSystem, register_embedder

MATCH = HardMatches(texts="text", width=96, heads=3)
CONTRAST = Contrastive(temperature=0.07, smoothing=0.1, both_ways=True)
OBJECTIVE = Align(contrast=CONTRAST, learned=True, terms=(MATCH,))
TRAINED = ("text", "image", "told", "score")
SCRATCH = Stage(name="scratch", trained=TRAINED, learning_rate=1e-3, batch=64, clip=5.0)
HEADS = Stage(name="heads", trained=("text", "image.head", "told", "score"), learning_rate=2e-4)
STAGE = Stage(name="clips", trained=TRAINED, learning_rate=1e-4, batch=128)
TASKS = (Task(name="text-to-item", query=(Takes.TEXT,), document=(Takes.PICTURE, Takes.WRITTEN)),)

SYSTEM = register_embedder(
    EmbedderSystem(
        slug="gram",
        no=175,
        parent="align",
        card=Card(
            paper="Gramian Multimodal Representation Learning and Alignment (arXiv 2412.11959)",
            differs="all modalities at once: the volume of a text's and an item's vectors in the "
            "cosine's place, and a matching term; words about a picture stand where sound was, and "
            "the matching layer is one of its own",
            claim="text to video, MSR-VTT: 54.8 R@1 zero-shot against 49.3 of VAST",
            checks=(
                "volumes are 0 where vectors depend on each other, 1 where orthogonal",
                "two modalities give sqrt(1 - cos^2)",
                "neither order, rotation nor signs matter",
            ),
        ),
        scales=parts.two_towers(
            parts.three(parts.BERT_BASE, parts.EVA_PICTURES, parts.FIRST, parts.FIRST, 512),
            objective=OBJECTIVE,
            stages=(STAGE,),
            nano=parts.three(parts.NANO_WORDS, parts.NANO_PICTURES, parts.LAST, parts.MEAN, 96),
            smol=parts.three(parts.MINILM, parts.LITE_PICTURES, parts.FIRST, parts.MEAN, 256),
            nano_stages=(SCRATCH,),
            smol_stages=(HEADS,),
            fuse=Apart(),
            outputs=(EVERY,),
            score=Volume(),
            batches=Batches(tasks=TASKS),
        ),
    )
)

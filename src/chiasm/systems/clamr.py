"""CLaMR: frames, speech, writing and words in one sequence, compared late, by modality."""

from chiasm.embedders.batches import Batches, Takes, Task
from chiasm.embedders.stages import (
    EveryToken,
    LateInteraction,
    LinearHead,
    ManyVectors,
    ModalityAware,
    Output,
)
from chiasm.lineages import multimodal_embedders as parts
from chiasm.objectives import Contrastive
from chiasm.spec import Card, Stage
from chiasm.spec.embedder import EmbedderSystem, register_embedder
from chiasm.stream import Modality

CLIP = (Takes.PICTURE, Takes.WRITTEN)
TASKS = (
    Task(name="about-the-picture", query=(Takes.TEXT,), document=CLIP),
    Task(
        name="about-the-writing",
        query=(Takes.OTHER,),
        document=CLIP,
        about=Modality.DOCUMENT,
        weight=0.5,
    ),
)
MANY = Output(reduce=EveryToken(), project=LinearHead(out=128), gives=ManyVectors())
STAGE = Stage(name="queries", trained=("item.experts", "output"), learning_rate=1e-5, batch=16)

SYSTEM = register_embedder(
    EmbedderSystem(
        slug="clamr",
        no=58,
        parent="colembed",
        card=Card(
            paper="CLaMR: Contextualized Late-Interaction for Multimodal Content Retrieval "
            "(arXiv 2506.06144)",
            differs="every part of a document is one sequence whose vectors keep their modality; "
            "a positive scores as the modality that the query asks about, negatives as their best",
            claim="MultiVENT 2.0++: nDCG@10 +25.6 over the best single modality's retriever",
            checks=(
                "token-max is never below modality-max, and equal for one modality",
                "padding never wins",
                "speech changes what writing's vectors are",
                "a modality of noise lowers an average, not the maximum",
            ),
        ),
        scales=parts.one_sequence(
            parts.read_by(parts.qwen2_5_vl(parts.QWEN2_5_VL_3B), parts.lora(128, 128.0)),
            objective=ModalityAware(contrast=Contrastive(temperature=0.02)),
            small=ModalityAware(contrast=Contrastive(temperature=0.05)),
            stages=(STAGE,),
            outputs=(MANY,),
            score=LateInteraction(mean=True),
            batches=Batches(tasks=TASKS, block=24),
        ),
    )
)

"""PreFLMR: words and a picture as many vectors, the picture's patches read with the words."""

from dataclasses import replace

from chiasm.embedders.batches import Batches
from chiasm.embedders.stages import Align, ConditionedPatches, LateInteraction
from chiasm.lineages import embedders as parts
from chiasm.objectives import Contrastive
from chiasm.spec import Card, Stage
from chiasm.spec.embedder import EmbedderSystem, register_embedder

LARGE = ConditionedPatches(out=128, vectors=32, width_inside=768, heads=12)
FEW = ConditionedPatches(out=64, vectors=4, width_inside=96, heads=3)
LEARNS = ("text", "fusion")
STAGES = (
    Stage(name="words", trained=LEARNS, learning_rate=1e-5, share=0.3, batch=64),
    Stage(name="mapping", trained=("fusion",), learning_rate=1e-4, share=0.2, batch=64),
    Stage(name="E-VQA", trained=LEARNS, learning_rate=1e-4, share=0.2, batch=64),
    Stage(name="M2KR", trained=LEARNS, learning_rate=1e-5, share=0.3, batch=64),
)
SCRATCH = replace(parts.SCRATCH, trained=("text", "image", "fusion"))
SMOL = replace(parts.WORDS_LEARN, trained=("text", "fusion"))

SYSTEM = register_embedder(
    EmbedderSystem(
        slug="preflmr",
        no=152,
        parent="ret",
        card=Card(
            paper="PreFLMR: Scaling Up Fine-Grained Late-Interaction Multi-modal Retrievers "
            "(arXiv 2402.08327)",
            differs="a query is words, 32 vectors of the picture and one of every patch, patches "
            "read the first words; the first stage is text, whose picture side then has no work",
            claim="ViT-L: WIT R@10 60.5, OKVQA R@5 31.4, E-VQA R@5 60.9",
            checks=(
                "a query has T + 32 + 256 vectors",
                "other questions give other patches, and the same vectors of the class token",
                "an instruction's words add nothing",
                "documents in another order have scores in that order",
            ),
        ),
        scales=parts.two_towers(
            parts.whole(parts.BERT_BASE, parts.CLIP_L_BEFORE_LAST),
            objective=Align(contrast=Contrastive(temperature=1.0)),
            stages=STAGES,
            nano=parts.whole(parts.NANO_WORDS, parts.NANO_CLASS),
            smol=parts.whole(parts.MINILM, parts.NANO_CLASS),
            nano_stages=(SCRATCH,),
            smol_stages=(SMOL,),
            fuses=(FEW, FEW, LARGE),
            outputs=(parts.MANY,),
            score=LateInteraction(),
            batches=Batches(tasks=parts.INSTRUCTED),
        ),
    )
)

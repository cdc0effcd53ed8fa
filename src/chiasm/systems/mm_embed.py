"""MM-Embed: pooled by latents, and taught with negatives of the wrong modality."""

from dataclasses import replace

from chiasm.embedders.batches import Batches
from chiasm.embedders.stages import Align, LatentAttention, OneVector, Output, Unprojected
from chiasm.lineages import multimodal_embedders as parts
from chiasm.lineages.embedders import BIDIRECTIONAL, INSTRUCTED
from chiasm.objectives import Contrastive
from chiasm.retrieval.mining import ByModality
from chiasm.spec import Card, Stage
from chiasm.spec.embedder import EmbedderSystem, register_embedder

MINED = Batches(tasks=INSTRUCTED, mining=ByModality(wrong_kind=2, right_kind=2), negatives=2)
POOLED = Output(
    reduce=LatentAttention(latents=512, heads=8), project=Unprojected(), gives=OneVector()
)
FEW = replace(POOLED, reduce=LatentAttention(latents=16, heads=3))
TAUGHT = ("item.experts", "item.connector", "output")
STAGES = (
    Stage(name="in the batch", trained=TAUGHT, learning_rate=1e-4, share=0.5, batch=256),
    Stage(name="mined, with text", trained=TAUGHT, learning_rate=1e-4, share=0.5, batch=256),
)
SMALL = (
    replace(parts.SCRATCH, name="in the batch", share=0.6),
    replace(parts.SCRATCH, name="mined", share=0.4, batch=24),
)

SYSTEM = register_embedder(
    EmbedderSystem(
        slug="mm-embed",
        no=205,
        parent="vlm2vec-v2",
        card=Card(
            paper="MM-Embed: Universal Multimodal Retrieval with Multimodal LLMs "
            "(arXiv 2411.02571)",
            differs="bidirectional, pooled by latent attention without the instruction; then "
            "negatives of the wrong modality that rank too high; no zero-shot reranker",
            claim="M-BEIR mean recall 48.9 (UniIR) to 52.7",
            checks=(
                "an instruction's tokens weigh nothing in the pool",
                "mined negatives hold no right document",
                "with mined negatives the wrong modality comes first less often",
            ),
        ),
        scales=parts.one_sequence(
            parts.read_by(parts.LLAVA_MISTRAL, parts.lora(8, 64.0), visibility=BIDIRECTIONAL),
            objective=Align(contrast=Contrastive(temperature=0.02)),
            small=parts.SOFT,
            stages=STAGES,
            nano_stages=SMALL,
            outputs=(POOLED,),
            small_outputs=(FEW,),
            batches=MINED,
        ),
    )
)

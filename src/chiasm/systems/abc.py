"""ABC: a model that sees both ways, averaged, under a head that begins as the identity."""

from dataclasses import replace

from chiasm.embedders.batches import PICTURE_TO_TEXT, Batches
from chiasm.embedders.stages import Align, IdentityStart, MeanToken, OneVector, Output
from chiasm.lineages import multimodal_embedders as parts
from chiasm.lineages.embedders import BIDIRECTIONAL, BOTH_TO
from chiasm.objectives import Contrastive
from chiasm.retrieval.mining import OnePerBlock
from chiasm.spec import Card, Stage
from chiasm.spec.embedder import EmbedderSystem, register_embedder

SMOOTHED = Contrastive(temperature=0.07, smoothing=0.1)
TASKS = (PICTURE_TO_TEXT, replace(BOTH_TO, instruction="Instruction: "))
HOST = parts.qwen2_vl(parts.QWEN2_VL_7B)
MINED = Batches(tasks=TASKS, mining=OnePerBlock(count=7), negatives=2, staged=((0,), (1,)))
MEAN = Output(reduce=MeanToken(), project=IdentityStart(hidden=4096), gives=OneVector())
NARROW = replace(MEAN, project=IdentityStart(hidden=128))
LEARNS, ALL = ("item.experts",), ("item.experts", "item.encoder", "output", "score")
STAGES = (
    Stage(name="captions", trained=ALL, learning_rate=4e-5, share=0.8, batch=512),
    Stage(name="instructions", trained=LEARNS, learning_rate=4e-5, share=0.2, batch=512),
)
SMALL = (
    replace(parts.SCRATCH, name="captions", share=0.8),
    replace(parts.SCRATCH, name="instructions", trained=("item.decoder",), share=0.2),
)

SYSTEM = register_embedder(
    EmbedderSystem(
        slug="abc",
        no=50,
        parent="vlm2vec-v2",
        card=Card(
            paper="ABC: Achieving Better Control of Multimodal Embeddings using VLMs "
            "(arXiv 2503.00329)",
            differs="both ways, mean of all tokens, x + W2 selu(W1 x) on top; negatives from "
            "blocks of ranks; the second stage keeps the first's adapter and embeds candidates "
            "with it",
            claim="best for its size at COCO image to text and on CtrlBench",
            checks=(
                "a later token changes an earlier state",
                "fresh, the head gives x + selu(x)",
                "the second stage moves neither head nor temperature",
                "two instructions give a picture two embeddings",
            ),
        ),
        scales=parts.one_sequence(
            parts.read_by(HOST, parts.lora(64, 128.0), visibility=BIDIRECTIONAL),
            objective=Align(contrast=SMOOTHED, learned=True),
            stages=STAGES,
            nano_stages=SMALL,
            outputs=(MEAN,),
            small_outputs=(NARROW,),
            batches=MINED,
        ),
    )
)

"""LamRA's retriever: first taught on words alone, then instructed on everything."""

from dataclasses import replace

from chiasm.embedders.batches import PICTURE_TO_TEXT, TEXT_TO_PICTURE, Batches, Takes, Task
from chiasm.embedders.stages import Align, Prompt
from chiasm.lineages import multimodal_embedders as parts
from chiasm.objectives import Contrastive
from chiasm.spec import Card, Stage
from chiasm.spec.embedder import EmbedderSystem, register_embedder

PROMPT = Prompt(closing=" Summarize above in one word:", marker="")
TASKS = (
    Task(name="text-to-text", query=(Takes.TEXT,), document=(Takes.OTHER,)),
    replace(TEXT_TO_PICTURE, instruction="find an image for: "),
    replace(PICTURE_TO_TEXT, instruction="find a caption for: "),
)
LEARNS = ("item.experts",)
STAGES = (
    Stage(name="words alone", trained=LEARNS, learning_rate=2e-4, share=0.5, batch=576),
    Stage(name="instructions", trained=LEARNS, learning_rate=1e-4, share=0.5, batch=960),
)
SMALL = (
    replace(parts.SCRATCH, name="words alone", trained=("item.decoder",), share=0.2),
    replace(parts.SCRATCH, name="instructions", share=0.8),
)

SYSTEM = register_embedder(
    EmbedderSystem(
        slug="lamra",
        no=232,
        parent="vlm2vec-v2",
        card=Card(
            paper="LamRA: Large Multimodal Model as Your Advanced Retrieval Assistant "
            "(arXiv 2412.01720)",
            differs="the state of the last word of a prompt that asks for one word; text pairs "
            "first; one adapter through both stages; the reranker is left out",
            claim="M-BEIR local mean 56.6, with the reranker 63.7",
            checks=(
                "embeddings do not depend on the padding",
                "the first stage batches no picture",
            ),
        ),
        scales=parts.one_sequence(
            parts.read_by(parts.qwen2_vl(parts.QWEN2_VL_7B), parts.lora(128, 256.0), PROMPT),
            objective=Align(contrast=Contrastive(temperature=0.05)),
            stages=STAGES,
            nano_stages=SMALL,
            batches=Batches(tasks=TASKS, block=24, staged=((0,), ())),
        ),
    )
)

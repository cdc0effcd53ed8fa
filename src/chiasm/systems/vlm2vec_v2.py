"""VLM2Vec-V2: an instructed vision-language model read at its last token, in blocks of one task."""

from dataclasses import replace

from chiasm.embedders.batches import PICTURE_TO_TEXT, TEXT_TO_PICTURE, Batches
from chiasm.embedders.stages import Align
from chiasm.lineages import multimodal_embedders as parts
from chiasm.objectives import Contrastive
from chiasm.spec import Card, Stage
from chiasm.spec.embedder import EmbedderSystem, register_embedder

TASKS = (
    replace(TEXT_TO_PICTURE, instruction="Instruct: find the picture. Query: "),
    replace(PICTURE_TO_TEXT, instruction="Instruct: describe the picture. Query: "),
)
STAGE = Stage(
    name="contrast",
    trained=("item.experts",),
    learning_rate=5e-5,
    batch=1024,
    warmup=0.02,
    schedule="linear",
)

SYSTEM = register_embedder(
    EmbedderSystem(
        slug="vlm2vec-v2",
        no=190,
        parent=None,
        card=Card(
            paper="VLM2Vec-V2: Advancing Multimodal Embedding for Videos, Images, and Visual "
            "Documents (arXiv 2507.04590)",
            differs="the last token of a causal model, one vector; batches of homogeneous blocks, "
            "gradients in chunks; plain low-rank deltas stand for DoRA's",
            claim="MMEB-V2, 78 tasks, Qwen2-VL-2B: 58.0 against 52.3 of VLM2Vec-7B",
            checks=(
                "gradients in chunks equal those of the whole batch",
                "embeddings do not depend on the padding",
                "every block of a batch has one task",
                "the adapted model at its start equals its base",
                "another instruction gives another embedding",
            ),
        ),
        scales=parts.one_sequence(
            parts.read_by(parts.qwen2_vl(parts.QWEN2_VL_2B), parts.lora(16, 64.0, 0.1)),
            objective=Align(contrast=Contrastive(temperature=0.02)),
            small=parts.SOFT,
            stages=(STAGE,),
            batches=Batches(tasks=TASKS, block=64, chunk=8),
        ),
    )
)

"""jina-embeddings-v4: one model, a nested vector and many small ones, taught to agree."""

from chiasm.embedders.batches import PICTURE_TO_TEXT, TEXT_TO_PICTURE, Batches
from chiasm.embedders.stages import (
    EveryToken,
    LinearHead,
    ManyVectors,
    MeanToken,
    OneVector,
    Output,
    Prompt,
    Unprojected,
)
from chiasm.lineages import multimodal_embedders as parts
from chiasm.objectives import Contrastive
from chiasm.spec import Card, Stage
from chiasm.spec.embedder import EmbedderSystem, register_embedder
from chiasm.stream import MEDIA

PROMPT = Prompt(query="Query: ", document="Passage: ", marker="<|im_end|>")
DENSE = Output(reduce=MeanToken(among=MEDIA), project=Unprojected(), gives=OneVector())
LATE = Output(reduce=EveryToken(), project=LinearHead(out=128), gives=ManyVectors())
SIZES = (128, 256, 512, 1024)
STAGE = Stage(name="pairs", trained=("item.experts", "output"), learning_rate=2e-4, batch=512)

SYSTEM = register_embedder(
    EmbedderSystem(
        slug="jina-v4",
        no=82,
        parent="vlm2vec-v2",
        card=Card(
            paper="jina-embeddings-v4: Universal Embeddings for Multimodal Multilingual Retrieval "
            "(arXiv 2506.18902)",
            differs="two outputs of one pass: a mean (of a picture's own tokens where there are "
            "any) with nested sizes, and 128 numbers a token; one adapter, as in its first phase, "
            "not one a task; weights and temperatures are ours",
            claim="MMTEB retrieval 66.49 against 59.27 of text-embedding-3-large",
            checks=(
                "words outside a picture do not alter the vector of a picture before them",
                "MaxSim of one token each is the cosine",
                "the agreement is 0 where scores match",
                "the adapted model at its start equals its base",
            ),
        ),
        scales=parts.one_sequence(
            parts.read_by(parts.qwen2_5_vl(parts.QWEN2_5_VL_3B), parts.lora(32, 32.0), PROMPT),
            objective=parts.dense_and_late(Contrastive(temperature=0.02), SIZES),
            small=parts.dense_and_late(Contrastive(temperature=0.07), (16, 48)),
            stages=(STAGE,),
            outputs=(DENSE, LATE),
            batches=Batches(tasks=(TEXT_TO_PICTURE, PICTURE_TO_TEXT), block=24),
        ),
    )
)

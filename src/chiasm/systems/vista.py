"""VISTA: picture tokens in front of a text encoder that stays as it is."""

from chiasm.connectors import Linear
from chiasm.embedders.batches import PICTURE_TO_TEXT, TEXT_TO_PICTURE, Batches
from chiasm.embedders.stages import Align, Prompt
from chiasm.lineages import multimodal_embedders as parts
from chiasm.lineages.embedders import BIDIRECTIONAL, BOTH_TO, TO_BOTH
from chiasm.objectives import Contrastive
from chiasm.spec import Card, Stage
from chiasm.spec.embedder import EmbedderSystem, register_embedder

SEES = ("item.encoder", "item.connector")
STAGES = (
    Stage(name="weak pairs", trained=SEES, learning_rate=2e-5, share=0.7, batch=640),
    Stage(name="composed", trained=SEES, learning_rate=2e-5, share=0.3, batch=640),
)
SMALL = (Stage(name="pictures", trained=SEES, learning_rate=1e-3, batch=48, clip=5.0),)
TASKS = (PICTURE_TO_TEXT, TEXT_TO_PICTURE, BOTH_TO, TO_BOTH)

SYSTEM = register_embedder(
    EmbedderSystem(
        slug="vista",
        no=125,
        parent="vlm2vec-v2",
        card=Card(
            paper="VISTA: Visualized Text Embedding For Universal Multi-Modal Retrieval "
            "(arXiv 2406.04292)",
            differs="a bidirectional text encoder, frozen throughout; the picture encoder and a "
            "linear map learn; the vector is a marker's at the end, where the original's class "
            "token stands first",
            claim="zero-shot hybrid retrieval (WebQA, CIRR, FashionIQ, OVEN, ReMuQ) above CLIP and "
            "BLIP",
            checks=(
                "embeddings of texts are bit-identical after both stages",
                "ViT-B/16 gives 196 picture tokens",
                "positions are unique and without gaps",
                "an item of both is not the sum of its parts",
            ),
        ),
        scales=parts.one_sequence(
            parts.read_by(
                parts.BGE_EVA,
                None,
                Prompt(marker="[SEP]"),
                visibility=BIDIRECTIONAL,
                connector=Linear(),
            ),
            objective=Align(contrast=Contrastive(temperature=0.02)),
            small=parts.SOFT,
            stages=STAGES,
            nano_stages=SMALL,
            smol_stages=SMALL,
            batches=Batches(tasks=TASKS, block=80),
        ),
    )
)

"""Llama-NemoRetriever-ColEmbed: every token of a bidirectional model, compared late."""

from chiasm.embedders.batches import TEXT_TO_PICTURE, Batches
from chiasm.embedders.stages import Align, LateInteraction, Prompt
from chiasm.lineages import multimodal_embedders as parts
from chiasm.lineages.embedders import BIDIRECTIONAL
from chiasm.objectives import Contrastive
from chiasm.retrieval.mining import BelowMargin
from chiasm.spec import Card, Stage
from chiasm.spec.embedder import EmbedderSystem, register_embedder

PROMPT = Prompt(query="query: ", document="passage: ", marker="<|im_end|>")
MINED = Batches(tasks=(TEXT_TO_PICTURE,), mining=BelowMargin(count=2), negatives=2)
TAUGHT = ("item.connector", "item.experts")
STAGES = (
    Stage(name="text alone", trained=TAUGHT, learning_rate=1e-5, share=0.5, batch=256),
    Stage(name="pages", trained=TAUGHT, learning_rate=1e-5, share=0.5, batch=256),
)

SYSTEM = register_embedder(
    EmbedderSystem(
        slug="colembed",
        no=91,
        parent="vlm2vec-v2",
        card=Card(
            paper="Llama Nemoretriever Colembed: Top-Performing Text-Image Retrieval Model "
            "(arXiv 2507.05513)",
            differs="every row of a bidirectional model, at full width, compared by MaxSim; "
            "rates, temperature, adapters and number of negatives are ours",
            claim="ViDoRe V1 nDCG@5 91.0, V2 63.5 with 3B, at 10,311 GiB a million pages",
            checks=(
                "7 x 256 + 10 vectors of 3072 numbers in 2 bytes are 11.07 MB a page",
                "the last token changes the first token's vector",
                "padding never wins",
            ),
        ),
        scales=parts.one_sequence(
            parts.read_by(parts.EAGLE_3B, parts.lora(16, 32.0), PROMPT, visibility=BIDIRECTIONAL),
            objective=Align(contrast=Contrastive(temperature=0.02)),
            small=parts.LATE,
            stages=STAGES,
            outputs=(parts.EVERY,),
            score=LateInteraction(mean=True),
            batches=MINED,
        ),
    )
)

"""Ovis: every visual token is a mixture of the rows of a learned table, as a word is one row."""

from dataclasses import replace

from chiasm.connectors import VisualTable
from chiasm.lineages.encoders import CLIP_L_336
from chiasm.lineages.hosts import LLAMA_3_8B
from chiasm.lineages.teaching import OVIS, aligned
from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, System, derive, register

SYSTEM = register(
    System(
        slug="ovis",
        no=192,
        parent="llava-1.5",
        card=Card(
            paper="Ovis: Structural Embedding Alignment for Multimodal Large Language Model "
            "(arXiv 2405.20797)",
            differs="a softmax over 131,072 visual words mixes the rows of a table of embeddings; "
            "two rows of it stand around the image",
            claim="above open models of its size and Qwen-VL-Plus overall, above an MLP projector "
            "of similar size beside the same parts",
            checks=(
                "a token's probabilities sum to 1 and leave the marks out",
                "all of it on one word looks that word up",
                "a token lies in the convex hull of the table",
                "the head holds 134,477,820 parameters, the table 536,870,912",
                "logits equal transformers' Ovis2ForConditionalGeneration given equal weights",
            ),
            story=(
                "connector.choice=argmax takes the likeliest word alone",
                "the first stage teaches head and table, not the encoder's last layer",
            ),
        ),
        scales=derive(
            VISION_LANGUAGE,
            nano=dict(connector=VisualTable(vocabulary=130)),
            smol=dict(
                connector=VisualTable(vocabulary=4098),
                teaching=aligned(
                    "encoder", "connector", "decoder", "head", rates=(1e-3, 1e-4), share=0.3
                ),
            ),
            paper=dict(
                encoder=replace(CLIP_L_336, taps=(-1,)),
                connector=VisualTable(vocabulary=131_072),
                host=LLAMA_3_8B,
                teaching=OVIS,
            ),
        ),
    )
)

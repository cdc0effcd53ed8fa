"""TIIR: pages of pictures and words in their own order, pictures of as many tokens as one likes."""

from chiasm.embedders.stages import Align, Prompt
from chiasm.lineages import interleaved as parts
from chiasm.objectives import Contrastive
from chiasm.spec import Card, Scale, Stage
from chiasm.spec.embedder import EmbedderSystem, register_embedder

STAGE = Stage(name="pages", trained=("item",), learning_rate=5e-5, batch=32)

SYSTEM = register_embedder(
    EmbedderSystem(
        slug="tiir",
        no=178,
        parent="vlm2vec-v2",
        card=Card(
            paper="Towards Text-Image Interleaved Retrieval (arXiv 2502.12799)",
            differs="queries and documents are pages of pictures and words in native order; a "
            "picture is the mean over N x N shares of its tokens, N chosen when reading, and all "
            "pairs of sizes of query and document are taught; its negatives are mined with the "
            "model itself",
            claim="wikiHow-TIIR: MRR@10 63.40 at N = 3 against 60.87 of the same model with all "
            "576 tokens a picture",
            checks=(
                "a side of 24 is the identity",
                "averaging to 12 and then to 6 is averaging to 6",
                "a side of 1 is the mean token",
                "an average document has 2,948 tokens, and 130 at N = 3",
                "other places of the pictures change the embedding and lower recall",
                "the loss of all pairs of sizes is the mean of their M^2 losses",
            ),
        ),
        scales=parts.pages_of(
            parts.DEEPSEEK_VL_1_3B,
            Prompt(marker="<|end▁of▁sentence|>"),
            objective=Align(contrast=Contrastive(temperature=0.05)),
            stages=(STAGE,),
            sides={Scale.NANO: 2, Scale.SMOL: 3, Scale.PAPER: 3},
            sizes={
                Scale.NANO: (1, 2, 4),
                Scale.SMOL: (1, 3, 7),
                Scale.PAPER: (1, 2, 3, 4, 6, 8, 12, 24),
            },
        ),
    )
)

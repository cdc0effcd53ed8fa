"""ViLT: raw patches and words in one bidirectional transformer; no encoder at all."""

from chiasm.lineages.single_stream import SINGLE_STREAM
from chiasm.spec import Card, System, register

SYSTEM = register(
    System(
        slug="vilt",
        no=248,
        parent="llava-1.5",
        card=Card(
            paper="ViLT: Vision-and-Language Transformer Without Convolution or Region Supervision "
            "(arXiv 2102.03334)",
            differs="no encoder: a linear map of 32-pixel patches; words and patches, marked by "
            "type, see each other in every layer",
            claim="87.4M, 55.9 GFLOPs, about 15 ms; VQAv2 71.26, NLVR2 75.70/76.13",
            checks=(
                "hidden states and pooler equal transformers' ViltModel given equal weights",
                "padding of words or patches does not change outputs",
                "swapping text and image blocks with their places leaves [CLS] unchanged",
                "transport has uniform marginals over valid tokens; distances are not negative",
                "the transformer's multiply-adds at 240 + 40 tokens are about 25 G",
            ),
            story=(
                "answers are spelt as a prefix language model: the prompt sees itself whole",
                "the paper classifies 3,129 answers from the pooled first word",
            ),
        ),
        scales=SINGLE_STREAM,
    )
)

"""HaploVL: words and raw patches in narrow layers together, then a language model's own."""

from chiasm.lineages.two_widths import TWO_WIDTHS
from chiasm.spec import Card, System, register

SYSTEM = register(
    System(
        slug="haplovl",
        no=168,
        parent="llava-1.5",
        card=Card(
            paper="HaploVL: A Single-Transformer Baseline for Multi-Modal Understanding "
            "(arXiv 2503.14694)",
            differs="no encoder: patches and words enter a pre-decoder of another width, which "
            "sees a picture from both sides; a linear map leads to the language model",
            claim="above other single transformers, and near modular models of LLaVA's kind, with "
            "little data",
            checks=(
                "a row sees a key whose first index is not after it; without pictures, causal",
                "text never alters rows of a picture before it",
                "the last patch affects the first patch's row",
                "672 x 672 pixels become 2352 tokens",
                "the heads of the distillation are no part of the model",
            ),
            story=(
                "the pre-decoder's distillation is `chiasm.distilling`, apart from `chiasm train`",
                "depth of the pre-decoder, its rotary positions and the token budget are ours",
            ),
        ),
        scales=TWO_WIDTHS,
    )
)

"""LLaVA-1.5: the reference of the in-sequence family."""

from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, System, register

SYSTEM = register(
    System(
        slug="llava-1.5",
        no=85,
        parent=None,
        card=Card(
            paper="Improved Baselines with Visual Instruction Tuning (arXiv 2310.03744)",
            differs="a two-layer MLP maps every patch to one row of the sequence",
            claim="7B: VQAv2 78.5, GQA 62.0, TextVQA 58.2, POPE 85.9",
            checks=(),
        ),
        scales=VISION_LANGUAGE,
    )
)

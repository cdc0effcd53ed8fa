"""ViLBERT: a text and a vision stream of their own widths, which ask each other in six layers."""

from chiasm.lineages.two_streams import TWO_STREAMS
from chiasm.spec import Card, System, register

SYSTEM = register(
    System(
        slug="vilbert",
        no=222,
        parent="llava-1.5",
        card=Card(
            paper="ViLBERT: Pretraining Task-Agnostic Visiolinguistic Representations for "
            "Vision-and-Language Tasks (arXiv 1908.02265)",
            differs="two live stacks: text (BERT-base) and regions (6 x 1024) read each other's "
            "state before each of the last six layers",
            claim="VQA 70.55 test-dev against 68.93 without pre-training and 68.85 single-stream",
            checks=(
                "with the co-attention's outputs at zero the streams are independent",
                "permuting regions with their boxes leaves the text unchanged",
                "a loss on text reaches the regions' features",
                "stacks of different widths work",
                "both directions read the states before either is updated",
            ),
            story=(
                "cells of a packaged encoder stand in for the detector's regions",
                "answers are spelt by the text stream, and the vision stream never sees them",
            ),
        ),
        scales=TWO_STREAMS,
    )
)

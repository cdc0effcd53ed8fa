"""LLaVA-1.5: a two-layer MLP makes every patch one row of the sequence. The family's reference."""

from chiasm.lineages.vision_language import VISION_LANGUAGE
from chiasm.spec import Card, System, register

SYSTEM = register(
    System(
        slug="llava-1.5",
        no=85,
        parent=None,
        card=Card(
            paper="Improved Baselines with Visual Instruction Tuning (arXiv 2310.03744)",
            differs="a two-layer MLP makes every patch one row of a causal sequence",
            claim="7B: VQAv2 78.5, GQA 62.0, VizWiz 50.0, TextVQA 58.2, POPE 85.9",
            checks=(
                "the MLP holds 20,979,712 parameters at 7B and 31,467,520 at 13B",
                "logits equal transformers' LlavaForConditionalGeneration given equal weights",
                "none of an image's rows is taught",
                "without an image the host's logits are the host's own",
                "grouping samples by length leaves the loss equal",
            ),
        ),
        scales=VISION_LANGUAGE,
    )
)

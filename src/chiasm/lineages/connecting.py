"""How published connectors and their hosts are taught, where LLaVA-1.5's stages do not say it."""

from dataclasses import replace

from chiasm.lineages.vision_language import LLAVA_1_5
from chiasm.spec import Teaching

_ALIGNMENT, _INSTRUCTION = LLAVA_1_5.stages

VIP_LLAVA = Teaching(
    objective=LLAVA_1_5.objective,
    stages=(
        replace(_ALIGNMENT, share=0.3),
        replace(_INSTRUCTION, share=0.6),
        replace(_INSTRUCTION, name="regions", learning_rate=2e-7, share=0.1),
    ),
)
"""LLaVA-1.5's stages, the second with marked regions among its data, then dialogues about regions
(ViP-LLaVA, arXiv 2312.00784)."""

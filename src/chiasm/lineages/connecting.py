"""How published connectors and their hosts are taught, where LLaVA-1.5's stages do not say it."""

from dataclasses import replace

from chiasm.lineages.vision_language import LLAVA_1_5
from chiasm.spec import Stage, Teaching

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

VEAGLE = Teaching(
    objective=LLAVA_1_5.objective,
    stages=tuple(
        Stage(
            name=name,
            trained=("connector",),
            learning_rate=1e-5,
            share=epochs / 5,
            weight_decay=0.05,
        )
        for name, epochs in (("alignment", 3), ("instruction", 2))
    ),
)
"""Three epochs of captions and two of instructions beside a frozen encoder and a frozen host
(Veagle, arXiv 2403.08773); an epoch of either counts alike."""

ANY_MAL = Teaching(
    objective=LLAVA_1_5.objective,
    stages=(
        Stage(name="alignment", trained=("connector",), learning_rate=2e-4, share=0.9),
        Stage(name="instruction", trained=("connector", "experts"), learning_rate=1e-4, share=0.1),
    ),
)
"""The aligner alone, then it and low-rank deltas of a host that stays as it is (AnyMAL, arXiv
2309.16058); rates and shares are ours."""

UNI_DOC = Teaching(
    objective=LLAVA_1_5.objective,
    stages=(
        replace(_ALIGNMENT, share=0.5, learning_rate=1e-3),
        replace(_INSTRUCTION, name="four tasks", share=0.5),
    ),
)
"""The linear map on captions and on texts of slides, then it and the host on all four tasks mixed
(UniDoc, arXiv 2308.11592); rates are LLaVA-1.5's, shares ours."""

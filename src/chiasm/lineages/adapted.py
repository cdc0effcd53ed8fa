"""What systems share whose host is adapted, or whose media rows have weights of their own."""

from dataclasses import replace

from chiasm.objectives import NextToken
from chiasm.spec import Stage, Teaching

VISUAL_ATTENTION = Teaching(
    objective=NextToken(),
    stages=(
        Stage(name="alignment", trained=("connector",), learning_rate=1e-3, share=0.2, batch=256),
        Stage(
            name="visual experts",
            trained=("encoder", "connector", "experts"),
            learning_rate=2e-5,
            share=0.4,
            copies=True,
        ),
        Stage(
            name="instruction",
            trained=("connector", "experts", "decoder", "head"),
            learning_rate=2e-5,
            share=0.4,
            batch=128,
        ),
    ),
)
"""The projector, then copies of attention for media rows beside a frozen text path, then all
(MammothModa, arXiv 2406.18193); rates and shares are ours.
"""

SMALL_VISUAL_ATTENTION = replace(
    VISUAL_ATTENTION,
    stages=tuple(
        replace(stage, batch=32, trained=tuple(p for p in stage.trained if p != "encoder"))
        for stage in VISUAL_ATTENTION.stages
    ),
)
"""The same beside a packaged encoder, which stays as it is."""

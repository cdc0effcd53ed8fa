"""The learning rate as a pure function of how much of a stage is done."""

import math

from chiasm.errors import Misuse
from chiasm.spec import Stage

SCHEDULES = ("cosine", "linear", "constant")
FIRST = 0.01
"""Share of the peak at which warm-up begins: above 0, so that the first step already teaches."""


def rate(stage: Stage, progress: float) -> float:
    """Learning rate at `progress` in [0, 1] of the stage.

    With w = `warmup` and f = `floor`: rises linearly from 1% of the peak to the peak at w, then
    with s = (progress - w) / (1 - w) falls to f: peak * (f + (1 - f) * (1 + cos(pi s)) / 2) for
    "cosine", peak * (1 - (1 - f) s) for "linear"; "constant" stays at the peak.
    Raises Misuse for another schedule.
    """
    if stage.schedule not in SCHEDULES:
        raise Misuse(
            f"stage {stage.name!r} asks for the schedule {stage.schedule!r}; "
            f"choose {', '.join(SCHEDULES)}"
        )
    done = min(max(progress, 0.0), 1.0)
    if done < stage.warmup:
        return stage.learning_rate * (FIRST + (1 - FIRST) * done / stage.warmup)
    if stage.schedule == "constant":
        return stage.learning_rate
    fall = (done - stage.warmup) / (1 - stage.warmup) if stage.warmup < 1 else 0.0
    left = (1 + math.cos(math.pi * fall)) / 2 if stage.schedule == "cosine" else 1 - fall
    return stage.learning_rate * (stage.floor + (1 - stage.floor) * left)

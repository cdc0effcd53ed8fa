"""Question 8, its other half: stages, freezing, schedule, budget. One verb, `train`."""

from chiasm.training.budget import Budget
from chiasm.training.display import Display, Silent
from chiasm.training.interrupt import Interrupted
from chiasm.training.loop import Options, Trainer
from chiasm.training.metrics import Metrics
from chiasm.training.prepare import Prepared, prepare
from chiasm.training.run import result, train

__all__ = [
    "Budget",
    "Display",
    "Interrupted",
    "Metrics",
    "Options",
    "Prepared",
    "Silent",
    "Trainer",
    "prepare",
    "result",
    "train",
]

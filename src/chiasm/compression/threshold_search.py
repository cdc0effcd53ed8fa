"""Thresholds found by trying them, where only the outcome of whole episodes tells (DeeR-VLA,
arXiv 2411.02359, section 3.2).

The paper searches by Gaussian processes; this is a seeded random search that narrows around the
best found so far.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from chiasm.errors import Misuse


@dataclass(frozen=True)
class Trial:
    """What episodes under some thresholds gave."""

    length: float
    """Mean number of tasks completed in a row; larger is better."""
    cost: float
    """Mean exit, or cost, of a step."""


@dataclass(frozen=True)
class Found:
    """The best thresholds of a search, and their score; smaller is better."""

    thresholds: tuple[float, ...]
    score: float


def score(trial: Trial, budget: float) -> float:
    """-length + max(0, cost - budget); smaller is better."""
    return -trial.length + max(0.0, trial.cost - budget)


def search(
    attempt: Callable[[tuple[float, ...]], Trial],
    start: Sequence[float],
    *,
    budget: float,
    trials: int,
    seed: int,
    spread: float = 1.0,
) -> Found:
    """The best of `trials` attempts: `start`, then log-normal steps around the best so far.

    The last threshold is left as it is: everything leaves at the last exit.
    """
    if trials < 1:
        raise Misuse(f"{trials} trials asked for; a search needs at least 1")
    generator = torch.Generator().manual_seed(seed)
    first = tuple(start)
    best = Found(first, score(attempt(first), budget))
    for number in range(1, trials):
        width = spread * (1 - number / trials)
        noise = (width * torch.randn(len(first) - 1, generator=generator)).tolist()
        moved = [eta * math.exp(n) for eta, n in zip(best.thresholds[:-1], noise, strict=True)]
        tried = (*moved, first[-1])
        reached = score(attempt(tried), budget)
        if reached < best.score:
            best = Found(tried, reached)
    return best

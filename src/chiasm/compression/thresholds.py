"""Thresholds of exits, solved for what a robot may spend (DeeR-VLA, arXiv 2411.02359, section 3.2).

Shares p_i ~ q^i of the samples are to leave at exit i; q is solved for the demanded average cost,
exits beyond the demanded peak or memory get no share. Each threshold is then a quantile of the
distances of the samples that have not left before.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from chiasm.compression.exits import NEVER
from chiasm.errors import Misuse


@dataclass(frozen=True, kw_only=True)
class ExitBudget:
    """What may be spent on a step: on average, at most, and in memory, in the exits' own units."""

    average: float
    peak: float = math.inf
    memory: float = math.inf


def geometric(ratio: float, exits: int) -> tuple[float, ...]:
    """p_i = q^i / sum_j q^j."""
    # In logarithms: q^i overflows where nearly all are to leave at one end.
    powers = torch.arange(exits, dtype=torch.float64) * math.log(ratio)
    return tuple(powers.softmax(0).tolist())


def mean_cost(shares: Sequence[float], costs: Sequence[float]) -> float:
    """sum_i p_i c_i."""
    return sum(share * cost for share, cost in zip(shares, costs, strict=True))


def solve_shares(
    costs: Sequence[float], budget: ExitBudget, *, memory: Sequence[float] | None = None
) -> tuple[float, ...]:
    """The share of samples for each exit, whose mean cost is the budget's average.

    `costs` and `memory` are those of a step that leaves at each exit, both rising. Where even the
    deepest exit allowed costs less than the average, all leave there.

    Raises:
        Misuse: the first exit alone breaks the budget.
    """
    needed = [0.0] * len(costs) if memory is None else memory
    pairs = list(zip(costs, needed, strict=True))
    allowed = sum(cost <= budget.peak and held <= budget.memory for cost, held in pairs)
    if not allowed:
        raise Misuse(
            f"the first exit costs {costs[0]:g} and holds {needed[0]:g}, more than the peak "
            f"{budget.peak:g} or the memory {budget.memory:g}; raise them"
        )
    if costs[0] > budget.average:
        raise Misuse(
            f"the first exit costs {costs[0]:g}, more than the demanded average "
            f"{budget.average:g}; raise it or place an earlier exit"
        )
    open_costs, rest = costs[:allowed], (0.0,) * (len(costs) - allowed)
    if open_costs[-1] <= budget.average:
        return (*(0.0,) * (allowed - 1), 1.0, *rest)
    low, high = -200.0, 200.0
    for _ in range(100):
        middle = (low + high) / 2
        spent = mean_cost(geometric(math.exp(middle), allowed), open_costs)
        low, high = (middle, high) if spent < budget.average else (low, middle)
    return (*geometric(math.exp(low), allowed), *rest)


def quantile_thresholds(
    distances: Float[Tensor, "sample exit"], shares: Sequence[float]
) -> tuple[float, ...]:
    """eta_i such that of these samples the share p_i leaves at exit i, to within one sample.

    The last exit with a share lets everything out; ties may let out more.
    """
    samples, exits = distances.shape
    if len(shares) != exits or abs(sum(shares) - 1) > 1e-6:
        raise Misuse(f"{len(shares)} shares of sum {sum(shares):g} for {exits} exits; want sum 1")
    last = max(number for number, share in enumerate(shares) if share > 0)
    left = torch.ones(samples, dtype=torch.bool, device=distances.device)
    found: list[float] = []
    due = 0.0
    for number, share in enumerate(shares):
        due += share
        if number >= last:
            found.append(math.inf)
            continue
        count = round(due * samples) - int((~left).sum())
        ranked = distances[left, number].sort().values
        found.append(float(ranked[count - 1]) if count > 0 else NEVER)
        left = left & (distances[:, number] > found[-1])
    return tuple(found)

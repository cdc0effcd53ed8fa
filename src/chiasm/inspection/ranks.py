"""How two lists of figures go together: Pearson, Spearman, and intervals by resampling."""

from collections.abc import Callable, Sequence
from math import isfinite

import torch
from torch import Tensor

from chiasm.errors import Misuse

Figures = Sequence[float]


def pearson(x: Figures, y: Figures) -> float:
    """sum (x - mx)(y - my) / sqrt(sum (x - mx)^2 sum (y - my)^2); 0 where either never varies.

    Raises:
        Misuse: fewer than two pairs, or lists of unequal lengths.
    """
    if len(x) != len(y) or len(x) < 2:
        raise Misuse(f"{len(x)} and {len(y)} figures; a correlation needs two or more pairs")
    a, b = (torch.tensor(list(one), dtype=torch.float64) for one in (x, y))
    a, b = a - a.mean(), b - b.mean()
    spread = float((a.square().sum() * b.square().sum()).sqrt())
    return float(a @ b) / spread if spread > 0 else 0.0


def spearman(x: Figures, y: Figures) -> float:
    """Pearson's correlation of the ranks."""
    return pearson(ranks(x).tolist(), ranks(y).tolist())


def ranks(values: Figures) -> Tensor:
    """1 for the least; equal values share the mean of their ranks."""
    given = torch.tensor(list(values), dtype=torch.float64)
    below = (given.unsqueeze(0) < given.unsqueeze(1)).sum(1)
    equal = (given.unsqueeze(0) == given.unsqueeze(1)).sum(1)
    return below.double() + (equal + 1) / 2


def bootstrap(
    measure: Callable[[Figures, Figures], float],
    x: Figures,
    y: Figures,
    *,
    draws: int = 2000,
    seed: int = 0,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Percentile interval of a measure of pairs, the pairs drawn again with replacement.

    Draws that hold one pair only, of which a correlation says nothing, are drawn anew.
    """
    generator = torch.Generator().manual_seed(seed)
    found: list[float] = []
    count = len(x)
    if len(set(zip(x, y, strict=True))) < 2:
        raise Misuse(f"{count} pairs that are all alike have no interval; measure others")
    while len(found) < draws:
        at = torch.randint(count, (count,), generator=generator).tolist()
        first, second = [x[i] for i in at], [y[i] for i in at]
        if len(set(zip(first, second, strict=True))) < 2:
            continue
        value = measure(first, second)
        if isfinite(value):
            found.append(value)
    bounds = torch.tensor([(1 - confidence) / 2, (1 + confidence) / 2], dtype=torch.float64)
    low, high = torch.tensor(found, dtype=torch.float64).quantile(bounds).tolist()
    return low, high

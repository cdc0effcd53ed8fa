"""Confidence intervals of a share, and of the mean of a few measurements."""

from collections.abc import Sequence
from math import cos, inf, pi, sqrt, tan
from statistics import NormalDist, fmean, stdev


def wilson(right: int, count: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval of `right / count` (Wilson 1927): (low, high).

    Keeps inside [0, 1] and stays honest near both ends. Raises ValueError for an empty sample.
    """
    if not 0 <= right <= count or count == 0:
        raise ValueError(f"{right} right of {count} is not a share")
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = right / count
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z * sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return max(0.0, centre - half), min(1.0, centre + half)


def student(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Student's t interval of the mean of a few measurements: mean -/+ t s / sqrt(n).

    Raises ValueError for fewer than two.
    """
    count = len(values)
    if count < 2:
        raise ValueError(f"{count} measurement has no interval; measure with at least two seeds")
    half = student_quantile(0.5 + confidence / 2, count - 1) * stdev(values) / sqrt(count)
    return fmean(values) - half, fmean(values) + half


def student_quantile(share: float, freedom: int) -> float:
    """The t below which `share` (at least one half) of Student's distribution lies.

    The density is integrated after t = sqrt(f) tan(a), where it is cos(a)^(f - 1) on a bounded
    interval; the angle is then found by halving.
    """
    steps = 4096
    width = pi / 2 / steps
    density = [cos((at + 0.5) * width) ** (freedom - 1) for at in range(steps)]
    wanted, held = (share - 0.5) * 2 * sum(density), 0.0
    for at, height in enumerate(density):
        if held + height >= wanted:
            return sqrt(freedom) * tan((at + (wanted - held) / height) * width)
        held += height
    return inf

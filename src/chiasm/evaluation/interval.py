"""Confidence intervals of a share, of the mean of a few measurements, and of paired answers."""

from collections import defaultdict
from collections.abc import Hashable, Sequence
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


def clustered(
    values: Sequence[float], clusters: Sequence[Hashable], confidence: float = 0.95
) -> tuple[float, float]:
    """Interval of the mean of values that are alike within clusters: questions of one picture.

    With n_i values of sum s_i in each of m clusters and the mean x of all N values: x -/+ t e,
    e^2 = m / (m - 1) sum_i (s_i - n_i x)^2 / N^2 (the ratio estimator of cluster sampling), t of
    m - 1 degrees of freedom. Differences of paired answers, 1, 0 or -1 each, are such values.

    Raises ValueError for fewer than two clusters, or lists of unequal lengths.
    """
    sums: dict[Hashable, tuple[int, float]] = defaultdict(lambda: (0, 0.0))
    for value, cluster in zip(values, clusters, strict=True):
        count, total = sums[cluster]
        sums[cluster] = count + 1, total + value
    if len(sums) < 2:
        raise ValueError(f"{len(sums)} cluster has no interval; ask about at least two pictures")
    mean, m = fmean(values), len(sums)
    squares = sum((total - count * mean) ** 2 for count, total in sums.values())
    error = sqrt(m / (m - 1) * squares) / len(values)
    half = student_quantile(0.5 + confidence / 2, m - 1) * error
    return mean - half, mean + half


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

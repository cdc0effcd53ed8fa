"""Confidence intervals of a share."""

from math import sqrt
from statistics import NormalDist


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

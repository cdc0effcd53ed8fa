"""Two objectives at once: an accuracy that should be high, and bytes that should be few."""

from collections.abc import Sequence

Point = tuple[float, float]
"""(accuracy, bytes)."""


def dominates(one: Point, other: Point) -> bool:
    """At least as good in both, better in one."""
    return one[0] >= other[0] and one[1] <= other[1] and one != other


def fronts(points: Sequence[Point]) -> list[list[int]]:
    """The points' numbers: those that none dominates, then those that only these do, and so on."""
    order = sorted(range(len(points)), key=lambda at: (points[at][1], -points[at][0]))
    found: list[list[int]] = []
    for at in order:
        # In this order only earlier points dominate, and of a front its last is the highest.
        for front in found:
            if not any(dominates(points[other], points[at]) for other in front):
                front.append(at)
                break
        else:
            found.append([at])
    return found


def hypervolume(points: Sequence[Point], worst: Point) -> float:
    """Area between the points and `worst`; points that are no better than it add nothing."""
    area, height = 0.0, worst[0]
    inside = sorted((size, -right) for right, size in points if right > height and size < worst[1])
    for size, negative in inside:
        if -negative > height:
            area += (-negative - height) * (worst[1] - size)
            height = -negative
    return area


def spread(points: Sequence[Point], front: Sequence[int], count: int) -> list[int]:
    """At most `count` numbers of a front, evenly along it, its two ends among them."""
    order = sorted(front, key=lambda at: points[at][1])
    if len(order) <= count:
        return order
    if count == 1:
        return [order[-1]]
    return [order[round(at * (len(order) - 1) / (count - 1))] for at in range(count)]

"""The largest batch, context, picture or number of pictures whose predicted peak fits a memory."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from chiasm.cost.load import MOST, Load, rows
from chiasm.cost.peak import predicted_peak
from chiasm.errors import ChiasmError, Misuse
from chiasm.spec import Answers, geometry

LARGEST_SIDE = 1 << 14
"""Pixels of the largest square picture that is looked at."""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """What is solved for: one size of a load, the others as they are."""

    unit: str
    smallest: Callable[[Answers, Load], int]
    limit: Callable[[Answers, Load], int]
    """The most that the model itself can have."""
    at: Callable[[Answers, Load, int], Load]
    applies: Callable[[Answers, Load], str | None] = lambda answers, load: None
    """Why a system has no such axis."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """The largest value of an axis that fits, or what the smallest would need."""

    axis: str
    unit: str
    largest: int | None
    """None: even the smallest does not fit."""
    rows: int
    """Rows of a sample at that value."""
    peak_bytes: int
    """Predicted at that value; at the smallest where none fits."""
    next_bytes: int | None
    """Predicted at the next larger value that needs more; None where the model's own limit, not
    memory, bounds it."""


def _media_rows(answers: Answers, load: Load) -> int:
    return rows(answers, load) - load.text


def _context_limit(answers: Answers, load: Load) -> int:
    return MOST if answers.host.mixer is not None else answers.host.max_positions


def _picture_limit(answers: Answers, load: Load) -> int:
    limit = _context_limit(answers, load)

    def held(pictures: int) -> bool:
        return rows(answers, replace(load, pictures=pictures)) <= limit

    # Pictures that share a budget shrink as they become more: no line through two counts says how
    # many there may be. Each takes a row at least, if any takes one.
    if rows(answers, replace(load, pictures=1)) == rows(answers, replace(load, pictures=0)):
        return MOST
    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if held(middle) else (low, middle - 1)
    return low


def _one_size(answers: Answers, load: Load) -> str | None:
    small, large = (geometry(answers, (side, side)) for side in (16, LARGEST_SIDE))
    if not large.views:
        return "it looks at no picture"
    targets = [{view.target for view in found.views} for found in (small, large)]
    same = targets[0] == targets[1] and len(small.views) == len(large.views)
    return f"its views are of one size, {_sizes(targets[1])} pixels" if same else None


def _sizes(targets: set[tuple[int, int]]) -> str:
    return ", ".join(f"{height}x{width}" for height, width in sorted(targets))


def _no_pictures(answers: Answers, load: Load) -> str | None:
    return None if geometry(answers, load.image).views else "it looks at no picture"


AXES: Mapping[str, Axis] = {
    "batch": Axis(
        unit="samples",
        smallest=lambda answers, load: 1,
        limit=lambda answers, load: MOST,
        at=lambda answers, load, value: replace(load, batch=value),
    ),
    "context": Axis(
        unit="rows",
        smallest=lambda answers, load: _media_rows(answers, load) + 2,
        limit=_context_limit,
        at=lambda answers, load, value: replace(load, text=value - _media_rows(answers, load)),
    ),
    "pixels": Axis(
        unit="pixels a side",
        smallest=lambda answers, load: 16,
        limit=lambda answers, load: LARGEST_SIDE,
        at=lambda answers, load, value: replace(load, image=(value, value)),
        applies=_one_size,
    ),
    "frames": Axis(
        unit="pictures",
        smallest=lambda answers, load: 1,
        limit=_picture_limit,
        at=lambda answers, load, value: replace(load, pictures=value),
        applies=_no_pictures,
    ),
}
"""By name. Frames are pictures of one sample, each an item of its own."""


def fit(answers: Answers, load: Load, memory: int, axis: str) -> Fit:
    """The largest value of `axis` at which the load's predicted peak is at most `memory` bytes.

    Raises:
        Misuse: no such axis, or none of this system.
        ChiasmError: the peak depends on what weights have learned.
    """
    if axis not in AXES:
        raise Misuse(f"nothing is solved for {axis!r}; choose {', '.join(AXES)}")
    chosen = AXES[axis]
    if (why := chosen.applies(answers, load)) is not None:
        raise Misuse(f"this system has no {axis} to solve for: {why}")
    known: dict[Load, int] = {}

    def peak(value: int) -> int:
        # Pictures of many sizes become the same views; they are rehearsed once.
        asked = chosen.at(answers, load, value)
        views = geometry(answers, asked.image, [asked.image] * (asked.pictures - 1)).views
        key = replace(asked, image=hash(views)) if axis == "pixels" else asked  # pyright: ignore
        if key not in known:
            known[key] = predicted_peak(answers, asked)
        return known[key]

    low, high = chosen.smallest(answers, load), chosen.limit(answers, load)
    if high < low:
        raise ChiasmError(
            f"{low} {chosen.unit} at the least do not fit the model's own limit of {high}"
        )
    least = peak(low)
    best, beyond = (None, None) if least > memory else largest(peak, memory, low, high)
    at = low if best is None else best
    return Fit(
        axis=axis,
        unit=chosen.unit,
        largest=best,
        rows=rows(answers, chosen.at(answers, load, at)),
        peak_bytes=peak(at),
        next_bytes=None if beyond is None else peak(beyond),
    )


def largest(peak: Callable[[int], int], memory: int, low: int, high: int) -> tuple[int, int | None]:
    """The largest value in [low, high] whose peak fits, and the next one, if there is any.

    `low` fits. Peaks grow with their values and almost in proportion, so a line through two known
    points says where to look next; every third look halves the interval instead.
    """
    here, ahead, over = low, min(high, 2 * low + 1), None
    while over is None and here < high:
        if peak(ahead) > memory:
            over = ahead
        else:
            slope = (peak(ahead) - peak(here)) / max(1, ahead - here)
            reach = int((memory - peak(ahead)) / slope) + 1 if slope > 0 else high
            here, ahead = ahead, min(high, ahead + max(1, min(reach, 64 * ahead)))
    looks = 0
    while over is not None and over - here > 1:
        looks += 1
        slope = (peak(over) - peak(here)) / (over - here)
        guess = here + int((memory - peak(here)) / slope) if slope > 0 else here
        # The line is a bound from one side where peaks are convex: look just past it too.
        middle = (here + over) // 2 if looks % 3 == 0 else guess + (looks % 3 == 2)
        middle = min(max(middle, here + 1), over - 1)
        here, over = (middle, over) if peak(middle) <= memory else (here, middle)
    return here, over

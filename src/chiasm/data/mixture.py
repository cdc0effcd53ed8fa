"""Several data sets as one, each taken so many times: "stamps:4+scenes:0.5+easy-vqa"."""

import math
from collections.abc import Callable
from random import Random

from chiasm.data.example import Dataset, Example
from chiasm.errors import Misuse


def mixed(name: str, split: str, load: Callable[[str, str], Dataset]) -> Dataset:
    """The examples of all parts of `name`, one part's after another's.

    A part is a data set and, behind a colon, how many times it is taken; of half a time, half of
    its examples, drawn by a seed of its name. Training shuffles; the order here says nothing.

    Raises:
        Misuse: a part without a name, or a number of times that is none or not above 0.
    """
    examples: list[Example] = []
    for part in name.split("+"):
        source, _, times = part.strip().partition(":")
        if not source:
            raise Misuse(f"{name!r} has a part without a name; write NAME[:TIMES]+NAME[:TIMES]")
        examples += _taken(load(source, split).examples, source, _times(part, times))
    return Dataset(name, split, tuple(examples))


def _taken(examples: tuple[Example, ...], source: str, times: float) -> tuple[Example, ...]:
    whole = math.floor(times)
    rest = Random(source).sample(range(len(examples)), round((times - whole) * len(examples)))
    return examples * whole + tuple(examples[at] for at in sorted(rest))


def _times(part: str, times: str) -> float:
    try:
        number = float(times or 1)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise Misuse(f"{part!r}: {times!r} is no number of times; give one above 0, as in stamps:4")
    return number

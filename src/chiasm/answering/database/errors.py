"""How far an aggregate is from the truth, as MMNDB defines it.

p is what the processor says of a retrieved picture, g what the picture truly shows; pictures are
named by id, and a picture is relevant where g > 0.
"""

from collections.abc import Mapping

from chiasm.errors import Misuse

Numbers = Mapping[str, int]


def count_error(said: Numbers, gold: Numbers) -> float:
    """(|sum p - sum g| over the relevant retrieved + sum p over the irrelevant retrieved + sum g
    over the missed) / sum g.
    """
    total = _positive(sum(gold.values()), "sum")
    kept = [one for one in said if gold.get(one, 0) > 0]
    off = abs(sum(said[one] for one in kept) - sum(gold[one] for one in kept))
    irrelevant = sum(number for one, number in said.items() if gold.get(one, 0) == 0)
    missed = sum(number for one, number in gold.items() if one not in said)
    return (off + irrelevant + missed) / total


def max_error(said: Numbers, gold: Numbers) -> float:
    """|max p - max g| / max g."""
    most = _positive(max(gold.values(), default=0), "maximum")
    return abs(max(said.values(), default=0) - most) / most


def in_error(said: Numbers, gold: Numbers) -> float:
    """|#(p > 0) - #(g > 0)| / #(g > 0)."""
    relevant = _positive(sum(number > 0 for number in gold.values()), "number of pictures")
    return abs(sum(number > 0 for number in said.values()) - relevant) / relevant


def _positive(value: int, what: str) -> int:
    if value <= 0:
        raise Misuse(f"the true {what} is {value}; errors are relative to a positive one")
    return value

"""Which pictures are looked at for a thing: the nearest, or a switch that knows the truth."""

from collections.abc import Sequence
from enum import StrEnum
from random import Random

from chiasm.answering.desk import Candidate, Desk
from chiasm.retrieval.unit import Kind
from chiasm.retrieval.where import Among

PICTURES = Among("type", (str(Kind.IMAGE), str(Kind.FIGURE)))
NOISE = 300
"""Random pictures that the noisy switch adds."""


class Retrieval(StrEnum):
    """Perfect to damaging are oracle switches: they need the relevant units of every thing."""

    NEAREST = "nearest"
    PERFECT = "perfect"
    EMPTY = "empty"
    NOISY = "noisy"
    """The relevant and `NOISE` others at random."""
    DAMAGING = "damaging"
    """The relevant and the k others that look most like them."""


def asked_for(thing: str) -> str:
    """What pictures are compared with."""
    return f"How many {thing} are in the image?"


def nearest(desk: Desk, thing: str, k: int, threshold: float | None) -> list[Candidate]:
    """The k nearest pictures; with a threshold, only those of at least that cosine."""
    found = [
        one
        for one in desk.search(words=asked_for(thing), k=k, where=PICTURES)
        if one.picture is not None
    ]
    if threshold is None:
        return found
    cosines = desk.looks_alike(asked_for(thing), [one.picture for one in found if one.picture])
    return [one for one, cosine in zip(found, cosines, strict=True) if cosine >= threshold]


def switched(
    desk: Desk, thing: str, how: Retrieval, relevant: Sequence[str], k: int
) -> list[Candidate]:
    """The relevant units, and those that a switch adds to them."""
    if how == Retrieval.EMPTY:
        return []
    gold = desk.lookup(relevant)
    if how == Retrieval.PERFECT:
        return gold
    ranked = nearest(desk, thing, max(1, desk.count(PICTURES)), None)
    others = [one for one in ranked if one.unit.id not in set(relevant)]
    if how == Retrieval.DAMAGING:
        return [*gold, *others[:k]]
    others.sort(key=lambda one: one.unit.id)
    return [*gold, *Random(0).sample(others, min(NOISE, len(others)))]

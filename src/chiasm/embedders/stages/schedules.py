"""At which sizes a batch's pictures are read, and which sizes of the two sides are compared."""

from dataclasses import dataclass
from typing import Protocol

import torch

Compared = tuple[int, int, float]
"""(a reading of the queries, one of the documents, what their loss weighs)."""


class Schedule(Protocol):
    """A frozen value."""

    def read(self) -> tuple[int, ...]:
        """Tokens along each side of a picture in every reading of the batch; none: one reading, as
        the answers say.
        """
        ...

    def pairs(self) -> tuple[Compared, ...]:
        """Readings that are compared; their losses are summed by weight."""
        ...


@dataclass(frozen=True)
class AsAnswered:
    """The null answer: read once, at the size that the answers say."""

    def read(self) -> tuple[int, ...]:
        return ()

    def pairs(self) -> tuple[Compared, ...]:
        return ((0, 0, 1.0),)


AS_ANSWERED = AsAnswered()


@dataclass(frozen=True, kw_only=True)
class RandomSize:
    """One of the sizes a batch, drawn from torch's generator of the CPU ("Rand")."""

    sizes: tuple[int, ...]

    def read(self) -> tuple[int, ...]:
        return (self.sizes[int(torch.randint(len(self.sizes), ()))],)

    def pairs(self) -> tuple[Compared, ...]:
        return ((0, 0, 1.0),)


@dataclass(frozen=True, kw_only=True)
class SameSizes:
    """sum_n w_n L(queries at n, documents at n) ("MRL", after arXiv 2205.13147)."""

    sizes: tuple[int, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.sizes) != len(self.weights):
            raise ValueError(f"{len(self.sizes)} sizes have {len(self.weights)} weights")

    def read(self) -> tuple[int, ...]:
        return self.sizes

    def pairs(self) -> tuple[Compared, ...]:
        return tuple((at, at, weight) for at, weight in enumerate(self.weights))


@dataclass(frozen=True, kw_only=True)
class EveryPair:
    """mean over n, m of L(queries at n, documents at m) ("Mean"): each side is encoded once a size,
    then M^2 matrices of scores are judged.
    """

    sizes: tuple[int, ...]

    def read(self) -> tuple[int, ...]:
        return self.sizes

    def pairs(self) -> tuple[Compared, ...]:
        places = range(len(self.sizes))
        return tuple((n, m, 1 / len(places) ** 2) for n in places for m in places)

"""What comes out of an embedder: reduced and projected states, as one kind of embedding."""

from dataclasses import dataclass
from typing import Any, Protocol

from torch import nn

from chiasm.embedders.states import States
from chiasm.errors import Misuse
from chiasm.retrieval.embedding import Distribution, Embedding, Multi, Single


class Gives(Protocol):
    """The last stage, a frozen value."""

    def give(self, states: States) -> Embedding:
        """The embedding of the items.

        Raises:
            Misuse: the states are not of its kind.
        """
        ...


@dataclass(frozen=True)
class OneVector:
    """One vector an item."""

    def give(self, states: States) -> Single:
        return Single(vectors=_one(states))


@dataclass(frozen=True)
class ManyVectors:
    """A vector of every real token."""

    def give(self, states: States) -> Multi:
        return Multi(vectors=states.tokens, valid=states.valid, modality=states.modality)


@dataclass(frozen=True)
class GaussianVector:
    """A mean, and after it as many logarithms of deviations (PCME, arXiv 2101.05068)."""

    def give(self, states: States) -> Distribution:
        mean, log_sigma = _one(states).chunk(2, -1)
        return Distribution(mean=mean, log_sigma=log_sigma)


@dataclass(frozen=True, kw_only=True)
class Output:
    """One of the things that come out: reduce, project, give."""

    reduce: Any
    project: Any
    gives: Gives

    def build(self, width: int) -> nn.Module:
        reduced = self.reduce.width(width)
        return nn.Sequential(self.reduce.build(width), self.project.build(reduced))


def _one(states: States):
    if states.tokens.shape[1] != 1:
        raise Misuse(
            f"{states.tokens.shape[1]} tokens an item cannot be given as one vector; reduce them"
        )
    return states.tokens[:, 0]

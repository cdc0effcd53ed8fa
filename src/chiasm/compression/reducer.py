"""`Reducer(site, scorer, budget, fate)`: one interface for every reduction of visual tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from chiasm.compression.evidence import Evidence, Look


@dataclass(frozen=True, kw_only=True)
class Site:
    """Before which decoder layer tokens go; 0 is the entry, behind the projector."""

    layer: int = 0


class Scope(StrEnum):
    """Among which tokens a reducer chooses, each group by itself."""

    UNIT = "unit"
    """Those of one tile or frame; rows without a place go with the tile before them."""
    ITEM = "item"
    """Those of one picture or clip."""
    SAMPLE = "sample"


@dataclass(frozen=True)
class Reduction:
    """What is left of a group of tokens."""

    index: Int[Tensor, " kept"]
    """Which stay, ascending; each keeps its own position."""
    hidden: Float[Tensor, "kept width"] | None = None
    """What they hold from now on; None: what they held."""
    encoded: Float[Tensor, "kept encoder"] | None = None
    """What they hold before the projector, which is then to be run; instead of `hidden`."""


class Scorer(Protocol):
    """How much each token is worth keeping: higher is better."""

    @property
    def needs(self) -> Sequence[Look]: ...

    def score(self, evidence: Evidence) -> Float[Tensor, " token"]: ...


class Budget(Protocol):
    """How many of so many tokens stay, given their scores."""

    def count(self, scores: Float[Tensor, " token"]) -> int: ...


@runtime_checkable
class Adaptive(Protocol):
    """A budget that follows the scores; what it keeps of a sample is known when it is run."""

    def count(self, scores: Float[Tensor, " token"]) -> int: ...

    def expected(self, tokens: int) -> int:
        """How many of so many tokens stay on average: what a bill counts."""
        ...


@runtime_checkable
class Multiplies(Protocol):
    """A scorer or fate with products of its own; a bill counts them, others are free there."""

    def macs(self, tokens: int, kept: int, width: int) -> int:
        """Multiply-adds for one group of tokens of `width`, of which `kept` stay."""
        ...


class Fate(Protocol):
    """What becomes of the tokens, given their scores and how many are to stay."""

    @property
    def needs(self) -> Sequence[Look]: ...

    def apply(
        self, evidence: Evidence, scores: Float[Tensor, " token"], count: int
    ) -> Reduction: ...


@dataclass(frozen=True, kw_only=True)
class Reducer:
    """At `site`, among the tokens of each `scope`: score, count, and let the rest meet its fate."""

    site: Site
    scope: Scope
    scorer: Scorer
    budget: Budget
    fate: Fate

    @property
    def needs(self) -> tuple[Look, ...]:
        return tuple(dict.fromkeys((*self.scorer.needs, *self.fate.needs)))

    def reduce(self, evidence: Evidence) -> Reduction:
        """What stays of one group; a budget of all tokens leaves them as they are."""
        scores = self.scorer.score(evidence)
        count = self.budget.count(scores)
        if count >= evidence.tokens:
            return Reduction(torch.arange(evidence.tokens, device=evidence.hidden.device))
        return self.fate.apply(evidence, scores, count)


def by_layer(reducers: Sequence[Reducer]) -> dict[int, list[Reducer]]:
    """The reducers of each site, in their order."""
    found: dict[int, list[Reducer]] = {}
    for reducer in reducers:
        found.setdefault(reducer.site.layer, []).append(reducer)
    return found

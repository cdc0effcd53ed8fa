"""What an embedder is taught: one contrastive loss, and terms beside it."""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from chiasm.embedders.states import Read
from chiasm.objectives import Contrastive

Scorer = nn.Module
"""`(queries, documents) -> scores`, what `build` of a score gives."""


@dataclass(frozen=True, kw_only=True)
class Round:
    """One batch as it is judged: `count` positives, one a query, then the mined negatives."""

    queries: Read
    candidates: Read
    targets: Float[Tensor, "query candidate"]
    kinds: Int[Tensor, " candidate"]
    """Which modalities each candidate holds, one bit each."""
    groups: Int[Tensor, " candidate"]
    """A class of each candidate, for terms that classify."""
    about: Int[Tensor, " query"]
    """The modality of its document that each query asks about."""

    @property
    def count(self) -> int:
        return self.targets.shape[0]

    @property
    def device(self) -> torch.device:
        return self.targets.device


class Among(Protocol):
    """Who competes for a query."""

    def allowed(self, of: Round) -> Bool[Tensor, "query candidate"] | None: ...


@dataclass(frozen=True)
class Everyone:
    """The null answer: all candidates of the batch."""

    def allowed(self, of: Round) -> None:
        return None


@dataclass(frozen=True)
class SameKind:
    """Candidates of the modalities that the query's own has, and its mined negatives whatever
    they are (modality-aware masking, UNITE, arXiv 2505.19650).
    """

    def allowed(self, of: Round) -> Bool[Tensor, "query candidate"]:
        alike = of.kinds[: of.count, None] == of.kinds
        alike[:, of.count :] = True
        return alike


class Term(Protocol):
    """A loss beside the contrastive one, a frozen value.

    `build(widths)` gives a module called as `(round, scores, scorer)`, `widths` those of the
    towers.
    """

    @property
    def name(self) -> str: ...

    def build(self, widths: dict[str, int]) -> nn.Module: ...


@dataclass(frozen=True, kw_only=True)
class Align:
    """L = contrast(scores) + sum of terms.

    With `learned`, the temperature is a parameter, its logarithm taught, kept within `bounds`.
    """

    contrast: Contrastive
    learned: bool = False
    bounds: tuple[float, float] = (1e-3, 1.0)
    among: Any = Everyone()
    terms: tuple[Any, ...] = ()

    def build(self, widths: dict[str, int]) -> "Judge":
        return Judge(self, widths)


class Judge(nn.Module):
    """The losses of a round, by name."""

    def __init__(self, config: Align, widths: dict[str, int]) -> None:
        super().__init__()
        self.config = config
        self.log_temperature = None
        if config.learned:
            start = math.log(config.contrast.temperature)
            self.log_temperature = nn.Parameter(torch.tensor(start))
        self.terms = nn.ModuleDict({term.name: term.build(widths) for term in config.terms})

    def temperature(self) -> Tensor | None:
        """The learned one; None where it is fixed."""
        if self.log_temperature is None:
            return None
        low, high = self.config.bounds
        return self.log_temperature.exp().clamp(low, high)

    def forward(self, of: Round, scorer: Scorer) -> dict[str, Tensor]:
        scores = scorer(of.queries.embedding, of.candidates.embedding)
        found = {"contrast": self.contrast(scores, of)}
        for name, term in self.terms.items():
            found[name] = term(of, scores, scorer)
        return found

    def contrast(self, scores: Tensor, of: Round) -> Tensor:
        """Both ways only among queries and their positives: negatives have no query.

        A document that answers by having the same name, and does not compete, is not asked for.
        """
        contrast, allowed = self.config.contrast, self.config.among.allowed(of)
        targets = of.targets if allowed is None else of.targets * allowed
        return contrast.judge(scores, targets, allowed, temperature=self.temperature())

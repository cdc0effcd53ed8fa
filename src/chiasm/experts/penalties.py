"""A router's losses as values: what is added to the objective, and how much of it."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from chiasm.experts import losses
from chiasm.experts.routes import Decision


class Penalty(Protocol):
    """One term, named for the record; `of` gives it with its coefficient."""

    @property
    def name(self) -> str: ...

    def of(self, decision: Decision) -> Tensor: ...


@dataclass(frozen=True, kw_only=True)
class Balance:
    """The Switch balance, once for each set of experts that rows choose from (E of that set).

    `first` counts a row's best expert only; `per_choice` divides by the choices a row makes, so
    that a uniform router gives `coefficient` whatever k is.
    """

    coefficient: float
    first: bool = False
    per_choice: bool = False
    name: str = "balance"

    def of(self, decision: Decision) -> Tensor:
        p = decision.probabilities
        if self.first:
            chosen = torch.zeros_like(p).scatter(-1, p.argmax(-1, keepdim=True), 1.0)
        else:
            chosen = decision.routes.chosen(p.shape[0]).to(p.dtype)
        choices = chosen.sum(-1, keepdim=True).clamp(min=1) if self.per_choice else 1.0
        total = p.new_zeros(())
        for eligible, rows in _pools(decision):
            total = total + losses.switch_balance(p, chosen / choices, rows, sum(eligible))
        return self.coefficient * total


@dataclass(frozen=True, kw_only=True)
class ZLoss:
    """Keeps a router's logits small."""

    coefficient: float
    name: str = "z"

    def of(self, decision: Decision) -> Tensor:
        return self.coefficient * losses.z_loss(decision.logits, decision.counted)


@dataclass(frozen=True, kw_only=True)
class Variation:
    """CV^2 of importance (summed probabilities) and of load (rows taken)."""

    coefficient: float
    name: str = "variation"

    def of(self, decision: Decision) -> Tensor:
        counted = decision.counted.unsqueeze(-1)
        importance = (decision.probabilities * counted).sum(0)
        load = (decision.routes.chosen(counted.shape[0]) & counted).sum(0).float()
        both = losses.squared_variation(importance) + losses.squared_variation(load)
        return self.coefficient * both


@dataclass(frozen=True, kw_only=True)
class ModalityBand:
    """Holds the divergence D of the first two groups' mean routing in a band (SMAR, arXiv
    2506.06406): relu(least - D) + relu(D - most), nothing where either group has no row.
    """

    coefficient: float
    least: float
    most: float
    detach_first: bool = False
    """Whether the first group's mean stays put, so that the other's routing does the moving."""
    name: str = "modality_band"

    def of(self, decision: Decision) -> Tensor:
        p = decision.probabilities
        first, other = (decision.counted & (decision.group == group) for group in (0, 1))
        one, two = losses.mean_over(p, first), losses.mean_over(p, other)
        distance = losses.symmetric_divergence(one.detach() if self.detach_first else one, two)
        term = losses.outside_band(distance, self.least, self.most)
        return self.coefficient * term * (first.any() & other.any())


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Teaches causal predictors which rows the experts take, from the row alone."""

    coefficient: float = 1.0
    name: str = "prediction"

    def of(self, decision: Decision) -> Tensor:
        if decision.predicted is None:
            raise ValueError("this router has no predictors to teach; give it some hidden units")
        eligible = decision.eligible & decision.counted.unsqueeze(-1)
        chosen = decision.routes.chosen(eligible.shape[0])
        return self.coefficient * losses.choice_prediction(decision.predicted, chosen, eligible)


def _pools(decision: Decision) -> list[tuple[tuple[bool, ...], Tensor]]:
    """Each set of experts that rows choose from, and its rows; a set of one offers no choice."""
    found = []
    for eligible in dict.fromkeys(decision.eligibility):
        if sum(eligible) < 2:
            continue
        groups = [group for group, other in enumerate(decision.eligibility) if other == eligible]
        inside = torch.isin(decision.group, torch.tensor(groups, device=decision.group.device))
        found.append((eligible, decision.counted & inside))
    return found

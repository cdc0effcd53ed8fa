"""One router for every method: scores, who may use whom, how experts are chosen, its losses."""

from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from chiasm.experts.penalties import Penalty
from chiasm.experts.routes import Decision, Eligibility, Routes
from chiasm.experts.selection import Scores, Selection


class Collector(Protocol):
    """Where auxiliary losses go."""

    def add(self, name: str, value: Tensor) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Router:
    """Emits (row, expert, weight) triples for flat rows of some groups."""

    eligibility: Eligibility
    """Which experts each group may use; also how many groups and experts there are."""
    selection: Selection
    penalties: tuple[Penalty, ...]
    apart: bool = False
    """Whether each group has scores of its own, over the experts that it may use."""
    noise: float = 0.0
    """Deviation of normal noise on the scores while training."""
    predictors: int = 0
    """Hidden units of each expert's causal predictor, which replaces a selection that looks ahead
    outside of training; 0: none."""

    @property
    def experts(self) -> int:
        return len(self.eligibility[0])

    @property
    def scores(self) -> int:
        """Rows of the gate's matrix."""
        return sum(map(sum, self.eligibility)) if self.apart else self.experts

    @property
    def looks_ahead(self) -> bool:
        """Whether, outside of training, a row's routes depend on other rows."""
        return self.selection.looks_ahead and not self.predictors

    def macs(self, width: int) -> int:
        """Multiply-adds of one row's scores, in a prefill."""
        hidden = self.experts * self.predictors
        return width * (self.scores + hidden) + hidden

    def build(self, width: int) -> "Routing":
        return Routing(self, width)


class Routing(nn.Module):
    """logits = W_g x, then the selection; W_g is one matrix, or one a group.

    Where nobody else may see the future, predictors sigma(MLP_e(x)) > 1/2 say from the row alone
    whether expert e would take it (MoMa, arXiv 2407.21770). They read x without its gradient.
    """

    columns: Int[Tensor, "group expert"]
    open_to: Bool[Tensor, "group expert"]

    def __init__(self, router: Router, width: int) -> None:
        super().__init__()
        self.router = router
        self.gate = nn.Linear(width, router.scores, bias=False)
        self.predictors = (
            Predictors(width, router.experts, router.predictors) if router.predictors else None
        )
        open_to = torch.tensor(router.eligibility)
        if router.apart:
            columns = (open_to.flatten().cumsum(0) - 1).view_as(open_to).clamp(min=0)
        else:
            columns = torch.arange(router.experts).expand_as(open_to).contiguous()
        self.register_buffer("open_to", open_to, persistent=False)
        self.register_buffer("columns", columns, persistent=False)

    def forward(
        self,
        x: Float[Tensor, "row width"],
        group: Int[Tensor, " row"],
        counted: Bool[Tensor, " row"],
        losses: Collector | None = None,
        samples: int = 1,
    ) -> Routes:
        """`group` counts from 0; rows that are not `counted` hold nothing; they are as many of each
        of `samples` samples, one after the other.
        """
        router = self.router
        eligible = self.open_to[group]
        scores = self.gate(x).float().gather(1, self.columns[group])
        if self.training and router.noise:
            scores = scores + router.noise * torch.randn_like(scores)
        logits = scores.masked_fill(~eligible, torch.finfo(scores.dtype).min)
        seen = Scores(logits, eligible, group, counted, router.eligibility, samples)
        if self.predictors is None:
            routes = router.selection.select(seen, training=self.training)
            self._teach(seen, routes, None, losses)
            return routes
        predicted = self.predictors(x.detach()).float()
        if self.training or losses is not None:
            routes = router.selection.select(seen, training=self.training)
            self._teach(seen, routes, predicted, losses)
            if self.training:
                return routes
        row, expert = ((predicted > 0) & eligible).nonzero(as_tuple=True)
        return Routes(row, expert, logits.sigmoid()[row, expert], router.experts)

    def _teach(
        self, seen: Scores, routes: Routes, predicted: Tensor | None, losses: Collector | None
    ) -> None:
        if losses is None:
            return
        decision = Decision(
            seen.logits,
            seen.eligible,
            seen.group,
            seen.counted,
            seen.eligibility,
            routes,
            predicted,
        )
        for penalty in self.router.penalties:
            losses.add(penalty.name, penalty.of(decision))


class Predictors(nn.Module):
    """One two-layer MLP an expert: a row to the logit of "this expert would take it"."""

    def __init__(self, width: int, experts: int, hidden: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, experts * hidden, bias=False)
        self.out = nn.Parameter(torch.randn(experts, hidden) * hidden**-0.5)
        self.bias = nn.Parameter(torch.zeros(experts))

    def forward(self, x: Float[Tensor, "*row width"]) -> Float[Tensor, "*row expert"]:
        units = nn.functional.silu(self.hidden(x)).unflatten(-1, self.out.shape)
        return torch.einsum("...eh,eh->...e", units, self.out.to(units.dtype)) + self.bias

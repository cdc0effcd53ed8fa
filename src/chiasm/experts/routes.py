"""What a router decides: flat (row, expert, weight) triples, and why."""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

Eligibility = tuple[tuple[bool, ...], ...]
"""Which experts may process the rows of which group: one tuple of flags a group."""


@dataclass(frozen=True)
class Routes:
    """Row `row[i]` passes expert `expert[i]`, whose output counts `weight[i]`."""

    row: Int[Tensor, " pair"]
    expert: Int[Tensor, " pair"]
    weight: Float[Tensor, " pair"]
    experts: int
    sizes: tuple[int, ...] | None = None
    """Rows of each expert, where they are known without a look at the triples, which are then
    sorted by expert."""

    def table(self, rows: int) -> Float[Tensor, "row expert"]:
        """The weights as a matrix, 0 where a row does not pass an expert."""
        empty = self.weight.new_zeros(rows, self.experts)
        return empty.index_put((self.row, self.expert), self.weight, accumulate=True)

    def chosen(self, rows: int) -> Bool[Tensor, "row expert"]:
        """True where a row passes an expert."""
        empty = torch.zeros(rows, self.experts, dtype=torch.bool, device=self.row.device)
        return empty.index_put((self.row, self.expert), torch.ones_like(self.row, dtype=torch.bool))


@dataclass(frozen=True)
class Decision:
    """A router's scores and what followed from them: what its losses read."""

    logits: Float[Tensor, "row expert"]
    """float32, the lowest number where the row's group may not use the expert."""
    eligible: Bool[Tensor, "row expert"]
    group: Int[Tensor, " row"]
    counted: Bool[Tensor, " row"]
    """False for rows that hold nothing: they teach the router nothing."""
    eligibility: Eligibility
    routes: Routes
    predicted: Float[Tensor, "row expert"] | None = None
    """What causal predictors say of the choice, before their sigmoid."""

    @property
    def probabilities(self) -> Float[Tensor, "row expert"]:
        return self.logits.softmax(-1)


def everyone(experts: int, *, groups: int = 1) -> Eligibility:
    """Any row may use any expert: routing knows nothing of modality."""
    return ((True,) * experts,) * groups


def blocks(*sizes: int) -> Eligibility:
    """Experts of each group's own, none shared: a hard split, then routing inside it."""
    owner = [group for group, size in enumerate(sizes) for _ in range(size)]
    return tuple(tuple(own == group for own in owner) for group in range(len(sizes)))

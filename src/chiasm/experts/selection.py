"""How scores become routes: rows choose experts, experts choose rows, or everything is mixed."""

from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from chiasm.experts.routes import Eligibility, Routes


@dataclass(frozen=True)
class Scores:
    """What a selection sees of flat rows."""

    logits: Float[Tensor, "row expert"]
    """float32, the lowest number where `eligible` is False."""
    eligible: Bool[Tensor, "row expert"]
    group: Int[Tensor, " row"]
    counted: Bool[Tensor, " row"]
    """False for rows that hold nothing."""
    eligibility: Eligibility
    samples: int = 1
    """The rows are those of so many samples one after the other, as many of each; 1: of one, or of
    nobody knows how many."""


class Selection(Protocol):
    """A rule that turns scores into routes."""

    @property
    def looks_ahead(self) -> bool:
        """Whether a row's routes depend on the other rows."""
        ...

    def active(self, eligibility: Eligibility, group: int) -> float:
        """Experts that one row of a group passes, on average."""
        ...

    def select(self, scores: Scores, *, training: bool) -> Routes: ...


@dataclass(frozen=True)
class TopLogits:
    """The k best experts of a row, weighed by a softmax over their k logits."""

    k: int
    looks_ahead: bool = False

    def active(self, eligibility: Eligibility, group: int) -> float:
        return self.k

    def select(self, scores: Scores, *, training: bool) -> Routes:
        best, expert = scores.logits.topk(self.k)
        return by_row(expert, best.softmax(-1), scores.logits.shape[1])


@dataclass(frozen=True)
class TopProbabilities:
    """The k best experts of a row, weighed by their share of the softmax over all experts.

    `renormalise` divides by the k weights' sum; without it, the weights tell the router's doubt.
    """

    k: int
    renormalise: bool
    looks_ahead: bool = False

    def active(self, eligibility: Eligibility, group: int) -> float:
        return self.k

    def select(self, scores: Scores, *, training: bool) -> Routes:
        weight, expert = scores.logits.softmax(-1).topk(self.k)
        if self.renormalise:
            weight = weight / weight.sum(-1, keepdim=True)
        return by_row(expert, weight, scores.logits.shape[1])


@dataclass(frozen=True)
class SoftMixture:
    """Every expert that a row may use, weighed by the softmax over them."""

    looks_ahead: bool = False

    def active(self, eligibility: Eligibility, group: int) -> float:
        return sum(eligibility[group])

    def select(self, scores: Scores, *, training: bool) -> Routes:
        row, expert = scores.eligible.nonzero(as_tuple=True)
        weight = scores.logits.softmax(-1)[row, expert]
        return Routes(row, expert, weight, scores.logits.shape[1])


@dataclass(frozen=True)
class FixedShares:
    """Weights that a row's group settles, whatever the scores: `shares[group][expert]`."""

    shares: tuple[tuple[float, ...], ...]
    looks_ahead: bool = False

    def active(self, eligibility: Eligibility, group: int) -> float:
        return sum(share != 0 for share in self.shares[group])

    def select(self, scores: Scores, *, training: bool) -> Routes:
        weight = torch.tensor(self.shares, device=scores.group.device)[scores.group]
        row, expert = weight.nonzero(as_tuple=True)
        return Routes(row, expert, weight[row, expert], weight.shape[1])


@dataclass(frozen=True)
class ExpertChoice:
    """Every expert takes its best rows: y_t = sum over the takers e of sigmoid(logit_te) FFN_e(x_t)
    (expert choice: arXiv 2202.09368; with sigmoid and Gumbel noise: MoMa, arXiv 2407.21770).

    The experts that are open to the same groups take `capacity` times those groups' rows in all, as
    evenly as whole rows allow; a row that nobody takes passes no expert. While training, the
    difference of two Gumbel noises is added to the logits. What a row gets depends on all rows;
    with `by_sample`, where each sample's rows are shared out by themselves, on those of its own.
    """

    capacity: float = 1.0
    noise: bool = True
    by_sample: bool = False
    looks_ahead: bool = True

    def active(self, eligibility: Eligibility, group: int) -> float:
        pools = {column for column in zip(*eligibility, strict=True) if column[group]}
        return self.capacity * len(pools)

    def select(self, scores: Scores, *, training: bool) -> Routes:
        logits = scores.logits
        if training and self.noise:
            logits = logits + gumbel(logits) - gumbel(logits)
        values = logits.sigmoid()
        if self.by_sample:
            return self._by_sample(values, scores)
        open_to = [*zip(*scores.eligibility, strict=True)]
        rows_of = {
            groups: (scores.eligible[:, open_to.index(groups)] & scores.counted).nonzero().flatten()
            for groups in set(open_to)
        }
        taken: list[Tensor] = []
        for expert, groups in enumerate(open_to):
            rows, place = rows_of[groups], open_to[:expert].count(groups)
            whole, rest = divmod(round(self.capacity * len(rows)), open_to.count(groups))
            size = min(len(rows), whole + (place < rest))
            taken.append(rows[values[rows, expert].topk(size).indices])
        sizes = tuple(len(rows) for rows in taken)
        row = torch.cat(taken)
        expert = torch.repeat_interleave(
            torch.arange(len(sizes), device=row.device),
            torch.tensor(sizes, device=row.device),
            output_size=len(row),
        )
        return Routes(row, expert, values[row, expert], len(sizes), sizes)

    def _by_sample(self, values: Float[Tensor, "row expert"], scores: Scores) -> Routes:
        """The same of every sample alone, all at once: an expert takes the rows of the first
        `size` ranks.
        """
        open_to = [*zip(*scores.eligibility, strict=True)]
        taken: list[Tensor] = []
        for expert, groups in enumerate(open_to):
            mine = (scores.eligible[:, expert] & scores.counted).view(scores.samples, -1)
            count = mine.sum(1)
            pairs, place = (self.capacity * count).round().long(), open_to[:expert].count(groups)
            many = open_to.count(groups)
            size = (pairs // many + (place < pairs % many)).clamp(max=count)
            asked = values[:, expert].view(scores.samples, -1).masked_fill(~mine, -1.0)
            rank = asked.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
            taken.append((rank < size.unsqueeze(1)).flatten())
        row, expert = torch.stack(taken, 1).nonzero(as_tuple=True)
        return Routes(row, expert, values[row, expert], len(open_to))


def by_row(expert: Int[Tensor, "row k"], weight: Float[Tensor, "row k"], experts: int) -> Routes:
    """Triples of k choices a row, in the rows' order."""
    row = torch.arange(expert.shape[0], device=expert.device).repeat_interleave(expert.shape[1])
    return Routes(row, expert.flatten(), weight.flatten(), experts)


def gumbel(like: Tensor) -> Tensor:
    """-log(-log U), U uniform, of the shape of `like`."""
    return -torch.empty_like(like).exponential_().log()

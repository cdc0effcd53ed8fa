"""Adapters as values: which linear layers get which low-rank delta, and what it costs."""

from dataclasses import dataclass
from typing import Protocol

from torch import nn

from chiasm.experts.gates import PromptGate, SampleGate, TaskGate
from chiasm.experts.groups import group_at
from chiasm.experts.lora import GroupLowRank, LowRank, SampleLowRank
from chiasm.experts.penalties import Penalty
from chiasm.spec.slots import Site
from chiasm.stream import Modality, Rows

ATTENTION = (Site.QUERY, Site.KEY, Site.VALUE, Site.OUTPUT)
FEED_FORWARD = (Site.GATE, Site.UP, Site.DOWN)
EVERY_SITE = (*ATTENTION, *FEED_FORWARD)

Gates = dict[tuple[int, str], SampleGate]
"""Gates made so far, by layer and owner, so that sites can share one."""


class Adapter(Protocol):
    """A delta at some sites of every layer, zero at first."""

    @property
    def sites(self) -> tuple[Site, ...]: ...

    @property
    def groups(self) -> tuple[Rows, ...]:
        """Row sets that it needs contiguous."""
        ...

    @property
    def looks_ahead(self) -> bool:
        """Whether what a row gets depends on later rows of the prompt."""
        ...

    def build(
        self, layer: int, site: Site, width: int, out: int, host_width: int, gates: Gates
    ) -> nn.Module: ...

    def macs(self, width: int, out: int, modality: Modality) -> int:
        """Multiply-adds of one row at one site."""
        ...

    def gate_macs(self, host_width: int) -> int:
        """Multiply-adds of one sample's gates in one layer."""
        ...

    def idle(self, width: int, out: int, modality: Modality) -> int:
        """Parameters at one site that a row does not pass."""
        ...


class Uniform:
    """What an adapter answers that does the same to every row, through all of its parameters."""

    @property
    def groups(self) -> tuple[Rows, ...]:
        return ()

    @property
    def looks_ahead(self) -> bool:
        return False

    def gate_macs(self, host_width: int) -> int:
        return 0

    def idle(self, width: int, out: int, modality: Modality) -> int:
        return 0


@dataclass(frozen=True, kw_only=True)
class LoRA(Uniform):
    """W x + alpha / rank B A x (arXiv 2106.09685), at every row."""

    sites: tuple[Site, ...]
    rank: int
    alpha: float
    dropout: float

    def build(
        self, layer: int, site: Site, width: int, out: int, host_width: int, gates: Gates
    ) -> nn.Module:
        return LowRank(width, out, self.rank, scale=self.alpha / self.rank, dropout=self.dropout)

    def macs(self, width: int, out: int, modality: Modality) -> int:
        return self.rank * (width + out)


@dataclass(frozen=True, kw_only=True)
class GroupLoRA:
    """Each row group has low-rank pairs of its own rank, under one scale (MM-LoRA)."""

    sites: tuple[Site, ...]
    groups: tuple[Rows, ...]
    ranks: tuple[int, ...]
    scale: float
    dropout: float

    def __post_init__(self) -> None:
        if len(self.groups) != len(self.ranks):
            raise ValueError(f"{len(self.ranks)} ranks given for {len(self.groups)} row groups")

    @property
    def looks_ahead(self) -> bool:
        return False

    def build(
        self, layer: int, site: Site, width: int, out: int, host_width: int, gates: Gates
    ) -> nn.Module:
        pairs = [
            LowRank(width, out, rank, scale=self.scale, dropout=self.dropout) for rank in self.ranks
        ]
        return GroupLowRank(self.groups, pairs)

    def macs(self, width: int, out: int, modality: Modality) -> int:
        return self._rank(modality) * (width + out)

    def gate_macs(self, host_width: int) -> int:
        return 0

    def idle(self, width: int, out: int, modality: Modality) -> int:
        return (sum(self.ranks) - self._rank(modality)) * (width + out)

    def _rank(self, modality: Modality) -> int:
        return self.ranks[group_at(self.groups, Rows.of(modality))]


@dataclass(frozen=True, kw_only=True)
class PromptLoRA:
    """Experts that a gate over the prompt's mean embedding chooses among, beside a shared one
    (Awaker2.5-VL, arXiv 2411.10669).
    """

    gates: tuple[tuple[Site, Site], ...]
    """Each adapted site and the site whose gate it obeys."""
    experts: int
    rank: int
    alpha: float
    dropout: float
    noise: float
    """Deviation of the noise on a gate's scores while training."""
    penalties: tuple[Penalty, ...]
    squared: bool = False
    """Weigh the chosen expert by w^2, as the release does, instead of w."""

    @property
    def sites(self) -> tuple[Site, ...]:
        return tuple(site for site, _ in self.gates)

    @property
    def groups(self) -> tuple[Rows, ...]:
        return ()

    @property
    def looks_ahead(self) -> bool:
        return True

    def build(
        self, layer: int, site: Site, width: int, out: int, host_width: int, gates: Gates
    ) -> nn.Module:
        owner = dict(self.gates)[site]
        if (layer, owner) not in gates:
            gates[layer, owner] = PromptGate(
                owner, host_width, self.experts, noise=self.noise, penalties=self.penalties
            )
        scale = self.alpha / self.rank
        return SampleLowRank(
            width,
            out,
            self.rank,
            self.experts,
            scale=scale,
            dropout=self.dropout,
            gate=gates[layer, owner],
            owns_gate=owner == site,
            shared=LowRank(width, out, self.rank, scale=scale),
            squared=self.squared,
        )

    def macs(self, width: int, out: int, modality: Modality) -> int:
        return 2 * self.rank * (width + out)

    def gate_macs(self, host_width: int) -> int:
        return len({owner for _, owner in self.gates}) * host_width * self.experts

    def idle(self, width: int, out: int, modality: Modality) -> int:
        return (self.experts - 1) * self.rank * (width + out)


@dataclass(frozen=True, kw_only=True)
class TaskLoRA:
    """One low-rank pair a task; a sample's task is the last of `tasks` that it holds rows of.

    With a `weight` w below 1 another pair is every task's: w of the task's own and 1 - w of it
    (Slide-LoRA's released gate has 1/2, TextHarmony, arXiv 2407.16364).
    """

    sites: tuple[Site, ...]
    tasks: tuple[Rows, ...]
    rank: int
    alpha: float
    dropout: float
    weight: float = 1.0

    @property
    def groups(self) -> tuple[Rows, ...]:
        return ()

    @property
    def looks_ahead(self) -> bool:
        return True

    @property
    def shares(self) -> bool:
        """Whether there is a pair of every task."""
        return self.weight < 1.0

    def build(
        self, layer: int, site: Site, width: int, out: int, host_width: int, gates: Gates
    ) -> nn.Module:
        return SampleLowRank(
            width,
            out,
            self.rank,
            len(self.tasks),
            scale=self.alpha / self.rank,
            dropout=self.dropout,
            gate=gates.setdefault((0, f"task {self.weight}"), TaskGate(self.tasks, self.weight)),
            owns_gate=False,
            shared=LowRank(width, out, self.rank, scale=self.alpha / self.rank)
            if self.shares
            else None,
            squared=False,
        )

    def macs(self, width: int, out: int, modality: Modality) -> int:
        return (1 + self.shares) * self.rank * (width + out)

    def gate_macs(self, host_width: int) -> int:
        return 0

    def idle(self, width: int, out: int, modality: Modality) -> int:
        return (len(self.tasks) - 1) * self.rank * (width + out)

"""Timestep experts: a latent row passes the layers of its time's group only (LaTtE-Flow)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.experts.shared import PlainWeights
from chiasm.layers import time_group
from chiasm.spec import Host, Work
from chiasm.spec.reading import Chosen, Reading
from chiasm.spec.slots import NormSite, Site, Weights
from chiasm.spec.work import LayerRows
from chiasm.stream import Modality, Rows

LATENT = Rows.of(Modality.LATENT)


@dataclass(frozen=True, kw_only=True)
class TimestepExperts:
    """Layer l of L belongs to group floor(l K / L) of K; a latent row runs a layer when its time
    lies in the layer's interval, so a step of the flow costs L / K layers (arXiv 2506.06952).

    `copies` says whose weights process latent rows (LaTtE-Flow Couple: copies of the host's
    everywhere); in the layers `shared` they pass the host's own (Blend).
    """

    copies: Any
    times: int
    """K."""
    shared: tuple[int, ...] = ()

    @property
    def groups(self) -> tuple[Rows, ...]:
        return self.copies.groups

    @property
    def lanes(self) -> tuple[Rows, ...]:
        return ()

    @property
    def looks_ahead(self) -> bool:
        return self.copies.looks_ahead

    def group(self, layer: int, depth: int) -> int:
        """The group of a layer."""
        return layer * self.times // depth

    def weights(self, host: Host) -> "TimestepWeights":
        return TimestepWeights(host, self)

    def idle(self, host: Host, modality: Modality) -> int:
        return self.copies.idle(host, modality)

    def work(self, host: Host, layer: int, rows: LayerRows, name: str) -> Sequence[Work]:
        """Of latent rows alone, the mean over a picture's steps: one in K runs the layer."""
        work = self.copies.work(host, layer, rows, name)
        if set(rows.query) != {Modality.LATENT}:
            return work
        return tuple(replace(line, macs=line.macs // self.times) for line in work)


class TimestepWeights:
    """The copies' weights, the host's own in shared layers, and a gate on time in every layer."""

    def __init__(self, host: Host, answer: TimestepExperts) -> None:
        self.host, self.answer = host, answer
        self.copies: Weights = answer.copies.weights(host)
        self.own = PlainWeights(host)

    def _of(self, layer: int) -> Weights:
        return self.own if layer in self.answer.shared else self.copies

    def linear(self, layer: int, site: Site, width: int, out: int, *, bias: bool) -> nn.Module:
        return self._of(layer).linear(layer, site, width, out, bias=bias)

    def norm(self, layer: int, site: NormSite, width: int) -> nn.Module:
        return self._of(layer).norm(layer, site, width)

    def feed_forward(self, layer: int) -> nn.Module | None:
        return self._of(layer).feed_forward(layer)

    def choose(self, layer: int) -> nn.Module | None:
        return TimeGate(self.answer.group(layer, self.host.depth), self.answer.times)


class TimeGate(nn.Module):
    """Keeps latent rows out of a layer whose interval does not hold their time."""

    def __init__(self, group: int, times: int) -> None:
        super().__init__()
        self.group, self.times = group, times

    def forward(
        self, hidden: Float[Tensor, "batch token width"], reading: Reading
    ) -> Chosen | None:
        """None where every row runs the layer."""
        table = reading.table
        away = LATENT.select(table) & (time_group(table.place[..., 0], self.times) != self.group)
        if not bool(away.any()):
            return None
        index: list[Tensor] = []
        valid: list[Tensor] = []
        runs: list[tuple[Rows, slice]] = []
        start = 0
        for rows, run in reading.groups:
            stays = ~away[:, run]
            width = int(stays.sum(1).max())
            # A stable sort keeps the chosen places ascending.
            order = (~stays).long().argsort(dim=1, stable=True)[:, :width]
            index.append(order + run.start)
            valid.append(stays.gather(1, order))
            runs.append((rows, slice(start, start + width)))
            start += width
        return Chosen(
            index=torch.cat(index, 1),
            valid=torch.cat(valid, 1),
            weight=None,
            runs=tuple(runs),
        )

"""Linear layers with adapters beside them, and the answer that gives them to a host."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from chiasm.experts.adapters import Adapter, Gates
from chiasm.experts.shared import PlainWeights
from chiasm.experts.sites import rows_at, shape_of
from chiasm.layers import Linear
from chiasm.spec import Host, Work
from chiasm.spec.reading import Reading
from chiasm.spec.slots import Site
from chiasm.spec.work import LayerRows
from chiasm.stream import Modality, Rows


class Mergeable(Protocol):
    """A delta that is one matrix for every row alike."""

    def merge(self) -> Tensor: ...


class AdaptedLinear(Linear):
    """W x + b, and the deltas of adapters; W is stored as a plain layer's is."""

    def __init__(self, width: int, out: int, *, bias: bool, deltas: Iterable[nn.Module]) -> None:
        super().__init__(width, out, bias=bias)
        self.experts = nn.ModuleList(deltas)

    def forward(self, input: Tensor, reading: Reading | None = None) -> Tensor:
        out = super().forward(input)
        for delta in self.experts:
            out = out + delta(input, reading)
        return out

    @torch.no_grad()
    def merge(self) -> None:
        """Fold the deltas into W and drop them.

        Raises:
            Misuse: a delta depends on the row or the sample.
        """
        for delta in self.experts:
            self.weight += cast(Mergeable, delta).merge()
        self.experts = nn.ModuleList()


def merge_adapters(model: nn.Module) -> int:
    """Fold every adapter into the layer beside it; the number of layers that had one."""
    adapted = [m for m in model.modules() if isinstance(m, AdaptedLinear) and len(m.experts)]
    for layer in adapted:
        layer.merge()
    return len(adapted)


@dataclass(frozen=True)
class AdaptedWeights:
    """All rows share the host's weights; adapters add their own deltas to some layers."""

    adapters: tuple[Adapter, ...]

    @property
    def groups(self) -> tuple[Rows, ...]:
        return tuple(rows for adapter in self.adapters for rows in adapter.groups)

    @property
    def lanes(self) -> tuple[Rows, ...]:
        return ()

    @property
    def looks_ahead(self) -> bool:
        return any(adapter.looks_ahead for adapter in self.adapters)

    def weights(self, host: Host) -> "AdaptingWeights":
        return AdaptingWeights(host, self.adapters)

    def idle(self, host: Host, modality: Modality) -> int:
        return host.depth * adapters_idle(self.adapters, host, modality, tuple(Site))

    def work(self, host: Host, layer: int, rows: LayerRows, name: str) -> Sequence[Work]:
        return (
            *rows.work(host, name),
            *adapters_work(self.adapters, host, rows, name, tuple(Site)),
        )


class AdaptingWeights(PlainWeights):
    """A host's plain weights, with adapters beside the linear layers they name."""

    def __init__(self, host: Host, adapters: tuple[Adapter, ...]) -> None:
        super().__init__(host)
        self.adapters, self._gates = adapters, Gates()

    def linear(self, layer: int, site: Site, width: int, out: int, *, bias: bool) -> nn.Module:
        deltas = [
            adapter.build(layer, site, width, out, self.host.width, self._gates)
            for adapter in self.adapters
            if site in adapter.sites
        ]
        if not deltas:
            return super().linear(layer, site, width, out, bias=bias)
        return AdaptedLinear(width, out, bias=bias, deltas=deltas)


def adapters_work(
    adapters: Iterable[Adapter], host: Host, rows: LayerRows, name: str, among: Sequence[Site]
) -> list[Work]:
    """The bill of the adapters at some sites of one layer."""
    work = []
    for adapter in adapters:
        for site in (site for site in adapter.sites if site in among):
            width, out = shape_of(host, site)
            macs = sum(
                count * adapter.macs(width, out, modality)
                for modality, count in rows_at(rows, site).items()
            )
            work.append(Work("decoder", f"{name} {site} adapter", macs))
        if adapter.gate_macs(host.width):
            macs = adapter.gate_macs(host.width)
            work.append(Work("decoder", f"{name} adapter gates", macs, once=True))
    return work


def adapters_idle(
    adapters: Iterable[Adapter], host: Host, modality: Modality, among: Sequence[Site]
) -> int:
    """Adapter parameters of one layer that a row of this modality does not pass."""
    return sum(
        adapter.idle(*shape_of(host, site), modality)
        for adapter in adapters
        for site in adapter.sites
        if site in among
    )

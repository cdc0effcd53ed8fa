"""Linear layers with adapters beside them, and the answer that gives them to a host."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, cast, runtime_checkable

import torch
from torch import Tensor, nn

from chiasm.experts.adapters import Adapter, Gates
from chiasm.experts.between import AdaptedFeedForward, adapted_norm, between_work, followed
from chiasm.experts.bottleneck import LAST, NORMS, Between, Place
from chiasm.experts.shared import PlainWeights
from chiasm.experts.sites import rows_at, shape_of
from chiasm.layers import FeedForward, Linear
from chiasm.spec import Host, Work
from chiasm.spec.reading import Reading
from chiasm.spec.slots import NormSite, Site
from chiasm.spec.work import LayerRows
from chiasm.stream import Modality, Rows


class Mergeable(Protocol):
    """A delta that is one matrix for every row alike."""

    def merge(self) -> Tensor: ...


@runtime_checkable
class StandsBeside(Protocol):
    """A delta that needs the layer's own W."""

    def stand_beside(self, linear: nn.Linear) -> None: ...


class AdaptedLinear(Linear):
    """y = W x + b and the deltas of x; then y + A(y) for each follower A. W is stored as a plain
    layer's is.
    """

    def __init__(
        self,
        width: int,
        out: int,
        *,
        bias: bool,
        deltas: Iterable[nn.Module],
        followers: Iterable[nn.Module] = (),
    ) -> None:
        super().__init__(width, out, bias=bias)
        made = list(deltas)
        self.experts = nn.ModuleList([*made, *followers])
        self._deltas = len(made)
        for delta in made:
            if isinstance(delta, StandsBeside):
                delta.stand_beside(self)

    @property
    def linear(self) -> bool:
        """Whether there are deltas that add to W x; followers read what comes of it."""
        return self._deltas > 0

    @classmethod
    def around(cls, linear: nn.Linear, deltas: Iterable[nn.Module]) -> "AdaptedLinear":
        """The same layer, its very parameters, with deltas beside it."""
        with torch.device("meta"):
            bias = linear.bias is not None
            made = cls(linear.in_features, linear.out_features, bias=bias, deltas=())
        made.weight, made.bias = linear.weight, linear.bias
        made.experts = nn.ModuleList(deltas)
        made._deltas = len(made.experts)
        for delta in made.experts:
            if isinstance(delta, StandsBeside):
                delta.stand_beside(made)
        return made

    def forward(self, input: Tensor, reading: Reading | None = None) -> Tensor:
        out = super().forward(input)
        for delta in islice(self.experts, self._deltas):
            out = out + delta(input, reading)
        return followed(out, islice(self.experts, self._deltas, None), reading, input)

    def merged(self) -> Tensor:
        """What all deltas add to W, `[out, width]`.

        Raises:
            Misuse: a delta depends on the row or the sample, or is not linear.
        """
        return torch.stack([cast(Mergeable, delta).merge() for delta in self.experts]).sum(0)

    def merge(self) -> None:
        """Fold the deltas into W and drop them; Misuse as `merged`."""
        self.weight += self.merged()
        self.experts, self._deltas = nn.ModuleList(), 0


@torch.no_grad()
def merge_adapters(model: nn.Module) -> int:
    """Fold every adapter into the layer beside it; the number of layers that had one.

    Raises:
        Misuse: one depends on the row or the sample, or is not linear; nothing is merged then.
    """
    adapted = [m for m in model.modules() if isinstance(m, AdaptedLinear) and len(m.experts)]
    for layer in adapted:
        layer.merged()
    for layer in adapted:
        layer.merge()
    return len(adapted)


@dataclass(frozen=True)
class AdaptedWeights:
    """All rows share the host's weights; adapters add their own deltas to some layers, others
    act `between` them.
    """

    adapters: tuple[Adapter, ...]
    between: tuple[Between, ...] = ()

    @property
    def groups(self) -> tuple[Rows, ...]:
        return tuple(rows for of in (*self.adapters, *self.between) for rows in of.groups)

    @property
    def lanes(self) -> tuple[Rows, ...]:
        return ()

    @property
    def looks_ahead(self) -> bool:
        return any(of.looks_ahead for of in (*self.adapters, *self.between))

    def weights(self, host: Host) -> "AdaptingWeights":
        return AdaptingWeights(host, self.adapters, self.between)

    def idle(self, host: Host, modality: Modality) -> int:
        each = adapters_idle(self.adapters, host, modality, tuple(Site))
        each += sum(of.idle(host, modality) for of in self.between)
        return host.depth * each

    def work(self, host: Host, layer: int, rows: LayerRows, name: str) -> Sequence[Work]:
        return (
            *rows.work(host, name),
            *adapters_work(self.adapters, host, rows, name, tuple(Site)),
            *between_work(self.between, host, rows, name),
        )


class AdaptingWeights(PlainWeights):
    """A host's plain weights, with adapters beside the linear layers they name."""

    def __init__(
        self, host: Host, adapters: tuple[Adapter, ...], between: tuple[Between, ...] = ()
    ) -> None:
        super().__init__(host)
        self.adapters, self._gates = adapters, Gates()
        self.between = between
        for of in between:
            of.check(host)

    def linear(self, layer: int, site: Site, width: int, out: int, *, bias: bool) -> nn.Module:
        deltas = [
            adapter.build(layer, site, width, out, self.host.width, self._gates)
            for adapter in self.adapters
            if site in adapter.sites
        ]
        followers = self._at(lambda place: site in LAST.get(place, ()))
        if not deltas and not followers:
            return super().linear(layer, site, width, out, bias=bias)
        return AdaptedLinear(width, out, bias=bias, deltas=deltas, followers=followers)

    def norm(self, layer: int, site: NormSite, width: int) -> nn.Module:
        adapters = self._at(lambda place: NORMS.get(place) is site)
        if not adapters:
            return super().norm(layer, site, width)
        return adapted_norm(self.host, width, adapters)

    def feed_forward(self, layer: int) -> nn.Module | None:
        made = super().feed_forward(layer)
        adapters = self._at(lambda place: place is Place.BESIDE_FEED_FORWARD)
        if not adapters or not isinstance(made, FeedForward):
            return made
        return AdaptedFeedForward(made, adapters)

    def _at(self, here: Callable[[Place], bool]) -> list[nn.Module]:
        """New adapters for what stands here."""
        return [of.build(self.host) for of in self.between if here(of.place)]


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

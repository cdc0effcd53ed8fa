"""Vision inside a layer's projections: media features join q, k and v there, not the sequence."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from chiasm.experts.adapted import AdaptingWeights, adapters_idle, adapters_work
from chiasm.experts.adapters import Adapter, Gates
from chiasm.experts.shared import PlainWeights
from chiasm.spec import Host, Work
from chiasm.spec.reading import Reading
from chiasm.spec.slots import Site
from chiasm.spec.work import LayerRows
from chiasm.stream import Modality, Rows
from chiasm.stream.table import take

QKV = (Site.QUERY, Site.KEY, Site.VALUE)


def at_rows(
    tokens: Float[Tensor, "batch memory width"], reading: Reading, rows: int
) -> Float[Tensor, "batch token width"]:
    """The memory token that each row stands for, 0 at rows that stand for none."""
    if reading.source is None:
        return tokens.new_zeros(tokens.shape[0], rows, tokens.shape[-1])
    own = take(tokens, reading.source.clamp(min=0))
    return own.masked_fill((reading.source < 0).unsqueeze(-1), 0.0)


@dataclass(frozen=True, kw_only=True)
class AddedVision:
    """y = W x + a F(v) at media rows, F = W2 gelu(W1 v), a = 1 at first (arXiv 2508.12466).

    `width` is that of the features v. Text rows get nothing, F's bias neither.
    """

    width: int

    @property
    def sites(self) -> tuple[Site, ...]:
        return QKV

    @property
    def groups(self) -> tuple[Rows, ...]:
        return ()

    @property
    def looks_ahead(self) -> bool:
        return False

    def build(
        self, layer: int, site: Site, width: int, out: int, host_width: int, gates: Gates
    ) -> nn.Module:
        return AddedFeatures(self.width, out)

    def macs(self, width: int, out: int, modality: Modality) -> int:
        return 0 if modality is Modality.TEXT else (self.width + out) * out

    def gate_macs(self, host_width: int) -> int:
        return 0

    def idle(self, width: int, out: int, modality: Modality) -> int:
        return (self.width + out + 2) * out + 1 if modality is Modality.TEXT else 0


class AddedFeatures(nn.Module):
    """a F(v) at the rows that stand for v."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Linear(width, out), nn.GELU(), nn.Linear(out, out))
        self.scale = nn.Parameter(torch.ones(1))

    def forward(
        self, x: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token out"] | float:
        if reading.memory is None:
            return 0.0
        made = self.features(reading.memory.tokens)
        return self.scale * at_rows(made, reading, x.shape[1]).to(x.dtype)


@dataclass(frozen=True, kw_only=True)
class MixedVision:
    """y = W x + a [x A ; RMSNorm(v)] B at every row, v = 0 at text rows: text mapped to vision.

    A is `host width x rank` of deviation 1 / sqrt(rank), B `(rank + width) x out` of deviation
    1e-4. The form of arXiv 2508.12466 that its release keeps beside `AddedVision`.
    """

    width: int
    rank: int

    @property
    def sites(self) -> tuple[Site, ...]:
        return QKV

    @property
    def groups(self) -> tuple[Rows, ...]:
        return ()

    @property
    def looks_ahead(self) -> bool:
        return False

    def build(
        self, layer: int, site: Site, width: int, out: int, host_width: int, gates: Gates
    ) -> nn.Module:
        return MixedFeatures(self.width, self.rank, width, out)

    def macs(self, width: int, out: int, modality: Modality) -> int:
        return width * self.rank + (self.rank + self.width) * out

    def gate_macs(self, host_width: int) -> int:
        return 0

    def idle(self, width: int, out: int, modality: Modality) -> int:
        return 0


class MixedFeatures(nn.Module):
    """a [x A ; RMSNorm(v)] B."""

    def __init__(self, vision: int, rank: int, width: int, out: int) -> None:
        super().__init__()
        self.vision = vision
        self.a = nn.Parameter(torch.randn(width, rank) / math.sqrt(rank))
        self.b = nn.Parameter(torch.randn(rank + vision, out) * 1e-4)
        self.norm = nn.RMSNorm(vision)
        self.scale = nn.Parameter(torch.ones(1))

    def forward(
        self, x: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token out"]:
        seen = x.new_zeros(*x.shape[:2], self.vision)
        if reading.memory is not None:
            seen = at_rows(reading.memory.tokens, reading, x.shape[1]).to(x.dtype)
        return self.scale * (torch.cat([x @ self.a, self.norm(seen)], -1) @ self.b)


@dataclass(frozen=True, kw_only=True)
class VisionInside:
    """The first layer's q, k and v take in media features; other adapters may stand elsewhere."""

    first: AddedVision | MixedVision
    others: tuple[Adapter, ...]
    """Adapters of all layers but the first."""

    @property
    def groups(self) -> tuple[Rows, ...]:
        return tuple(rows for adapter in self.others for rows in adapter.groups)

    @property
    def lanes(self) -> tuple[Rows, ...]:
        return ()

    @property
    def looks_ahead(self) -> bool:
        return any(adapter.looks_ahead for adapter in self.others)

    def at(self, layer: int) -> tuple[Adapter, ...]:
        """The adapters of one layer."""
        return self.others if layer else (self.first,)

    def weights(self, host: Host) -> "InsideWeights":
        return InsideWeights(host, self)

    def idle(self, host: Host, modality: Modality) -> int:
        every = tuple(Site)
        return sum(
            adapters_idle(self.at(layer), host, modality, every) for layer in range(host.depth)
        )

    def work(self, host: Host, layer: int, rows: LayerRows, name: str) -> Sequence[Work]:
        adapters = self.at(layer)
        return (*rows.work(host, name), *adapters_work(adapters, host, rows, name, tuple(Site)))


class InsideWeights(PlainWeights):
    """A host's plain weights with one set of adapters in its first layer, another in the rest."""

    def __init__(self, host: Host, answer: VisionInside) -> None:
        super().__init__(host)
        self._first, self._others = (AdaptingWeights(host, answer.at(at)) for at in (0, 1))

    def linear(self, layer: int, site: Site, width: int, out: int, *, bias: bool) -> nn.Module:
        adapting = self._others if layer else self._first
        return adapting.linear(layer, site, width, out, bias=bias)

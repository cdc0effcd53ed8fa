"""Norms and feed-forwards with adapters at them, and the bill of what stands in a layer."""

from collections.abc import Iterable

from torch import Tensor, nn

from chiasm.experts.bottleneck import Between, Place
from chiasm.layers import FeedForward, LayerNorm, RMSNorm
from chiasm.spec import Host, Work
from chiasm.spec.reading import Reading
from chiasm.spec.work import LayerRows


class AdaptedRMSNorm(RMSNorm):
    """y + A(y), y the host's norm of x."""

    def __init__(self, width: int, eps: float, adapters: Iterable[nn.Module]) -> None:
        super().__init__(width, eps=eps)
        self.experts = nn.ModuleList(adapters)

    def forward(self, x: Tensor, reading: Reading) -> Tensor:
        return followed(super().forward(x), self.experts, reading, x)


class AdaptedLayerNorm(LayerNorm):
    """y + A(y), y the host's norm of x."""

    def __init__(
        self, width: int, eps: float, adapters: Iterable[nn.Module], *, bias: bool = True
    ) -> None:
        super().__init__(width, eps=eps, bias=bias)
        self.experts = nn.ModuleList(adapters)

    def forward(self, input: Tensor, reading: Reading) -> Tensor:
        return followed(super().forward(input), self.experts, reading, input)


def adapted_norm(host: Host, width: int, adapters: Iterable[nn.Module]) -> nn.Module:
    """A norm of the host's kind with adapters behind it."""
    if host.norm == "rms":
        return AdaptedRMSNorm(width, host.norm_eps, adapters)
    return AdaptedLayerNorm(width, host.norm_eps, adapters, bias=host.norm == "layer")


class AdaptedFeedForward(FeedForward):
    """f(x) + A(x); the weights of f keep their names."""

    def __init__(self, own: FeedForward, adapters: Iterable[nn.Module]) -> None:
        nn.Module.__init__(self)
        self.gate_proj, self.up_proj, self.down_proj = own.gate_proj, own.up_proj, own.down_proj
        self.norm, self.hidden, self.activation = own.norm, own.hidden, own.activation
        self.experts = nn.ModuleList(adapters)

    def forward(self, x: Tensor, reading: object = None) -> Tensor:
        out = super().forward(x, reading)
        for adapter in self.experts:
            out = out + adapter(x, reading, x)
        return out


def followed(
    y: Tensor, adapters: Iterable[nn.Module], reading: Reading | None, given: Tensor
) -> Tensor:
    """y + A(y) for each adapter in turn; y was made of `given`."""
    for adapter in adapters:
        y = y + adapter(y, reading, given)
    return y


def rows_of(place: Place, rows: LayerRows) -> int:
    """Rows of one layer that pass a place."""
    if place is Place.BEFORE_ATTENTION:
        return max(sum(rows.query.values()), sum(rows.key_value.values()))
    passing = {Place.BEHIND_ATTENTION: rows.output, Place.VALUES: rows.key_value}
    return sum(passing.get(place, rows.feed_forward).values())


def between_work(adapters: Iterable[Between], host: Host, rows: LayerRows, name: str) -> list[Work]:
    """The bill of one layer."""
    return [
        Work("decoder", f"{name} adapter {of.place}", rows_of(of.place, rows) * of.macs(host))
        for of in adapters
    ]

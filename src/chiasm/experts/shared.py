"""The null answer: one set of weights processes every token."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import nn

from chiasm.layers import FeedForward, LayerNorm, Linear, RMSNorm
from chiasm.spec import Host, Work
from chiasm.spec.slots import NormSite, Site
from chiasm.spec.work import LayerRows
from chiasm.stream import Modality, Rows


@dataclass(frozen=True)
class SharedWeights:
    """All rows share the block's weights; every parameter is active for every token."""

    @property
    def groups(self) -> tuple[Rows, ...]:
        return ()

    @property
    def lanes(self) -> tuple[Rows, ...]:
        return ()

    @property
    def looks_ahead(self) -> bool:
        return False

    def weights(self, host: Host) -> "PlainWeights":
        return PlainWeights(host)

    def idle(self, host: Host, modality: Modality) -> int:
        return 0

    def work(self, host: Host, layer: int, rows: LayerRows, name: str) -> Sequence[Work]:
        return rows.work(host.at(layer), name)


NORMS: dict[str, Callable[[int, float], nn.Module]] = {
    "rms": lambda width, eps: RMSNorm(width, eps=eps),
    "layer": lambda width, eps: LayerNorm(width, eps=eps),
    "layer-without-bias": lambda width, eps: LayerNorm(width, eps=eps, bias=False),
}
"""The kinds of norm that a host can name."""


class PlainWeights:
    """Linear layers, norms and feed-forwards of a host, the same for every row."""

    def __init__(self, host: Host) -> None:
        self.host = host

    def linear(self, layer: int, site: Site, width: int, out: int, *, bias: bool) -> nn.Module:
        return Linear(width, out, bias=bias)

    def norm(self, layer: int, site: NormSite, width: int) -> nn.Module:
        return NORMS[self.host.norm](width, self.host.norm_eps)

    def feed_forward(self, layer: int) -> nn.Module | None:
        """Over linear layers of this maker, so that one that changes those changes it too."""
        host = self.host.at(layer)
        if not host.ff_width:
            return None
        return FeedForward(
            lambda site, width, out: self.linear(layer, Site(site), width, out, bias=host.mlp_bias),
            host.width,
            host.ff_width,
            gated=host.gated,
            activation=host.activation,
            norm=self.norm(layer, NormSite.HIDDEN, host.ff_width) if host.sub_norm else None,
        )

    def choose(self, layer: int) -> nn.Module | None:
        return None

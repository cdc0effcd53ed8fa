"""Bottleneck adapters: a narrow feed-forward at one place of every layer, nothing at first."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from jaxtyping import Float
from torch import Tensor, nn
from transformers.activations import ACT2FN

from chiasm.errors import Misuse
from chiasm.experts.groups import by_group, group_at
from chiasm.layers import FeedForward, LayerNorm, RMSNorm
from chiasm.spec import Host, Work
from chiasm.spec.reading import Reading
from chiasm.spec.slots import NormSite, Site
from chiasm.spec.work import LayerRows
from chiasm.stream import ALL, Modality, Rows


class Place(StrEnum):
    """Where an adapter A acts in a layer h = h + f(n(h)), f attention or the feed-forward."""

    BEFORE_ATTENTION = "before attention"
    """f(y + A(y)), y = n(h)."""
    BEFORE_FEED_FORWARD = "before the feed-forward"
    BEHIND_ATTENTION = "behind attention"
    """y + A(y), y = f(n(h))  (Houlsby et al. 2019, arXiv 1902.00751)."""
    BEHIND_FEED_FORWARD = "behind the feed-forward"
    BESIDE_FEED_FORWARD = "beside the feed-forward"
    """f(y) + A(y), y = n(h)  (AdaptFormer, arXiv 2205.13535)."""


NORMS = {
    Place.BEFORE_ATTENTION: NormSite.ATTENTION,
    Place.BEFORE_FEED_FORWARD: NormSite.FEED_FORWARD,
}
LAST = {
    Place.BEHIND_ATTENTION: (Site.OUTPUT, Site.MIXER_OUT),
    Place.BEHIND_FEED_FORWARD: (Site.DOWN,),
}
"""The linear layers whose output an adapter behind attention, or the feed-forward, reads."""


@dataclass(frozen=True, kw_only=True)
class Bottleneck:
    """A(y) = scale U act(D y), or scale U (act(G y) * D y) if `gated`; U zero at first.

    Each of `kinds` has matrices of its own.
    """

    place: Place
    hidden: int
    kinds: tuple[Rows, ...] = (ALL,)
    activation: str = "gelu"
    gated: bool = False
    bias: bool = True
    scale: float = 1.0

    @property
    def groups(self) -> tuple[Rows, ...]:
        return self.kinds if len(self.kinds) > 1 else ()

    def build(self, width: int) -> nn.Module:
        made = [Narrow(self, width) for _ in self.kinds]
        return made[0] if len(made) == 1 else ByKind(self.kinds, made)

    def weights(self, width: int) -> int:
        """Parameters for one kind of row in one layer."""
        biases = (1 + self.gated) * self.hidden + width if self.bias else 0
        return self.macs(width) + biases

    def macs(self, width: int) -> int:
        """Multiply-adds of one row."""
        return (2 + self.gated) * width * self.hidden

    def idle(self, width: int, modality: Modality) -> int:
        """Parameters of one layer that a row of this modality does not pass."""
        group_at(self.kinds, Rows.of(modality))
        return (len(self.kinds) - 1) * self.weights(width)

    def rows(self, rows: LayerRows) -> int:
        """Rows of one layer that it works on."""
        if self.place is Place.BEFORE_ATTENTION:
            return max(sum(rows.query.values()), sum(rows.key_value.values()))
        attends = self.place is Place.BEHIND_ATTENTION
        return sum((rows.output if attends else rows.feed_forward).values())

    def check(self, host: Host) -> None:
        """Refuse a host without such a place.

        Raises:
            Misuse: an adapter stands before what has no norm of its own before it.
        """
        if self.place in NORMS and host.arrangement != "pre":
            raise Misuse(
                f"an adapter {self.place} needs a norm before it, and this host is arranged "
                f"{host.arrangement!r}; put it behind or beside"
            )


class Narrow(nn.Module):
    """`[..., width]` to the same."""

    def __init__(self, config: Bottleneck, width: int) -> None:
        super().__init__()
        hidden, bias = config.hidden, config.bias
        self.gate = nn.Linear(width, hidden, bias=bias) if config.gated else None
        self.down = nn.Linear(width, hidden, bias=bias)
        self.up = nn.Linear(hidden, width, bias=bias)
        self.activation, self.scale = ACT2FN[config.activation], config.scale
        for parameter in self.up.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, reading: Reading | None = None) -> Tensor:
        inner = self.down(x)
        inner = (
            self.activation(inner) if self.gate is None else self.activation(self.gate(x)) * inner
        )
        return self.scale * self.up(inner)

    def merge(self) -> Tensor:
        raise Misuse("a bottleneck adapter is not linear: it cannot be merged into a matrix")


class ByKind(nn.Module):
    """Each group of rows through its own."""

    def __init__(self, kinds: Sequence[Rows], made: Iterable[Narrow]) -> None:
        super().__init__()
        self.kinds, self.own = tuple(kinds), nn.ModuleList(made)

    def forward(
        self, x: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token width"]:
        return by_group(x, reading, self.kinds, [*self.own])

    def merge(self) -> Tensor:
        raise Misuse("bottleneck adapters by kind of row depend on the row: they cannot be merged")


class AdaptedRMSNorm(RMSNorm):
    """y + A(y), y the host's norm of x."""

    def __init__(self, width: int, eps: float, adapters: Iterable[nn.Module]) -> None:
        super().__init__(width, eps=eps)
        self.experts = nn.ModuleList(adapters)

    def forward(self, x: Tensor, reading: Reading) -> Tensor:
        return followed(super().forward(x), self.experts, reading)


class AdaptedLayerNorm(LayerNorm):
    """y + A(y), y the host's norm of x."""

    def __init__(
        self, width: int, eps: float, adapters: Iterable[nn.Module], *, bias: bool = True
    ) -> None:
        super().__init__(width, eps=eps, bias=bias)
        self.experts = nn.ModuleList(adapters)

    def forward(self, input: Tensor, reading: Reading) -> Tensor:
        return followed(super().forward(input), self.experts, reading)


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
            out = out + adapter(x, reading)
        return out


def followed(y: Tensor, adapters: Iterable[nn.Module], reading: Reading | None) -> Tensor:
    """y + A(y) for each adapter in turn."""
    for adapter in adapters:
        y = y + adapter(y, reading)
    return y


def bottlenecks_work(
    adapters: Iterable[Bottleneck], host: Host, rows: LayerRows, name: str
) -> list[Work]:
    """The bill of one layer."""
    return [
        Work("decoder", f"{name} adapter {of.place}", of.rows(rows) * of.macs(host.width))
        for of in adapters
    ]

"""Bottleneck adapters: a narrow feed-forward at one place of every layer, nothing at first."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from jaxtyping import Float
from torch import Tensor, nn
from transformers.activations import ACT2FN

from chiasm.errors import Misuse
from chiasm.experts.groups import by_group, group_at
from chiasm.spec import Host
from chiasm.spec.reading import Reading
from chiasm.spec.slots import NormSite, Site
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
    VALUES = "of values"
    """v + A(v) for attention's values v."""


NORMS = {
    Place.BEFORE_ATTENTION: NormSite.ATTENTION,
    Place.BEFORE_FEED_FORWARD: NormSite.FEED_FORWARD,
}
LAST = {
    Place.BEHIND_ATTENTION: (Site.OUTPUT, Site.MIXER_OUT),
    Place.BEHIND_FEED_FORWARD: (Site.DOWN,),
    Place.VALUES: (Site.VALUE,),
}
"""The linear layers whose output an adapter of that place reads."""


class Between(Protocol):
    """An adapter that reads what some place of a layer gives, and adds to it."""

    @property
    def place(self) -> Place: ...

    @property
    def groups(self) -> tuple[Rows, ...]:
        """Row sets that it needs contiguous."""
        ...

    @property
    def looks_ahead(self) -> bool:
        """Whether what it adds to a row depends on later rows."""
        ...

    def build(self, host: Host) -> nn.Module:
        """A module `(y, reading, x)`: what is added to y, which was made of x."""
        ...

    def macs(self, host: Host) -> int:
        """Multiply-adds of one row."""
        ...

    def idle(self, host: Host, modality: Modality) -> int:
        """Parameters of one layer that a row of this modality does not pass."""
        ...

    def check(self, host: Host) -> None:
        """Refuse a host without such a place (Misuse)."""
        ...


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

    @property
    def looks_ahead(self) -> bool:
        return False

    def build(self, host: Host) -> nn.Module:
        made = [Narrow(self, self.width(host)) for _ in self.kinds]
        return made[0] if len(made) == 1 else ByKind(self.kinds, made)

    def weights(self, host: Host) -> int:
        """Parameters for one kind of row in one layer."""
        biases = (1 + self.gated) * self.hidden + self.width(host) if self.bias else 0
        return self.macs(host) + biases

    def macs(self, host: Host) -> int:
        return (2 + self.gated) * self.width(host) * self.hidden

    def width(self, host: Host) -> int:
        """Of what its place gives."""
        return host.kv_heads * host.head_width if self.place is Place.VALUES else host.width

    def idle(self, host: Host, modality: Modality) -> int:
        group_at(self.kinds, Rows.of(modality))
        return (len(self.kinds) - 1) * self.weights(host)

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

    def forward(
        self, x: Tensor, reading: Reading | None = None, given: Tensor | None = None
    ) -> Tensor:
        down = self.down(x)
        if self.gate is None:
            return self.scale * self.up(self.activation(down))
        return self.scale * self.up(self.activation(self.gate(x)) * down)

    def merge(self) -> Tensor:
        raise Misuse("a bottleneck adapter is not linear: it cannot be merged into a matrix")


class ByKind(nn.Module):
    """Each group of rows through its own."""

    def __init__(self, kinds: Sequence[Rows], made: Iterable[Narrow]) -> None:
        super().__init__()
        self.kinds, self.own = tuple(kinds), nn.ModuleList(made)

    def forward(
        self,
        x: Float[Tensor, "batch token width"],
        reading: Reading,
        given: Tensor | None = None,
    ) -> Float[Tensor, "batch token width"]:
        return by_group(x, reading, self.kinds, [*self.own])

    def merge(self) -> Tensor:
        raise Misuse("bottleneck adapters by kind of row depend on the row: they cannot be merged")

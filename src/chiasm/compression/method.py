"""A published method: reducers for a host of some shape, at a demanded budget; by name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from chiasm.compression.reducer import Reducer
from chiasm.errors import Misuse
from chiasm.registry import Registry


@dataclass(frozen=True, kw_only=True)
class HostShape:
    """What a method must know of the model it is attached to."""

    depth: int
    """Decoder layers."""
    first: int
    """The first decoder layer, behind the entry, before which rows may go (1 but for hosts that
    add vision to the hidden states of their first layers)."""
    blocks: int
    """Encoder blocks."""
    class_token: bool
    """Whether the encoder has one."""

    def layer(self, index: int, *, of: int) -> int:
        """The decoder layer, before which rows may go, at the depth of layer `index` of `of`.

        Raises:
            Misuse: the host has no such layer.
        """
        layer = max(self.first, scaled(index, of=of, to=self.depth))
        if layer >= self.depth:
            raise Misuse(
                f"rows can go before layer {layer} at the earliest, and the host has {self.depth} "
                "layers; choose a method that reduces before the first layer, such as uniform"
            )
        return layer

    def block(self, index: int, *, of: int) -> int:
        """The encoder block at the depth of block `index` of `of`.

        Raises:
            Misuse: the encoder has no blocks.
        """
        return scaled(index, of=of, to=self.blocks)

    @property
    def penultimate(self) -> int:
        """The last encoder block but one, or the only one."""
        return max(0, self.block(1, of=1) - 1)


class Method(Protocol):
    """A frozen value: `keep` and the method's own settings, the paper's where they are not given.

    `keep`, in (0, 1], is the share of visual tokens alive, averaged over the decoder's layers: the
    one budget at which methods of any schedule can be compared.
    """

    @property
    def keep(self) -> float: ...

    def reducers(self, shape: HostShape) -> tuple[Reducer, ...]:
        """Ascending by site.

        Raises:
            Misuse: the method cannot meet the budget on this host.
        """
        ...


WHAT, FILES = "compression method", "chiasm.compression.methods"
_METHODS: Registry[Callable[..., Method]] = Registry(WHAT, FILES)


def register_method(name: str) -> Callable[[type], type]:
    """Enter a method's class under its name."""
    return lambda made: _METHODS.enter(name, made)  # type: ignore[return-value]


def methods() -> dict[str, Callable[..., Method]]:
    """All methods by name, in alphabetical order."""
    return _METHODS.every()


def method(name: str, *, keep: float, **settings: object) -> Method:
    """The method of this name at a budget.

    Raises:
        Misuse: no such method or setting, or `keep` is not in (0, 1].
    """
    made = _METHODS.of(name)
    check_keep(keep)
    try:
        return made(keep=keep, **settings)
    except TypeError as error:
        raise Misuse(f"{name}: {error}") from error


def check_keep(keep: float) -> None:
    """Refuse a budget that is no share."""
    if not 0 < keep <= 1:
        raise Misuse(f"keep={keep:g} is not in (0, 1]; 0.1 keeps a tenth of the visual tokens")


def scaled(index: int, *, of: int, to: int) -> int:
    """Of `to` blocks the one at the depth of block `index` of `of`: index * to / of, rounded.

    Raises:
        Misuse: there are no blocks.
    """
    if to < 1:
        raise Misuse(
            f"block {index} of {of} of the encoder is to be read, and this encoder has no block of "
            "attention; choose a method that does not read it, such as uniform"
        )
    return min((2 * index * to + of) // (2 * of), to - 1)


def share_from(layer: int, keep: float, depth: int, name: str) -> float:
    """The share r kept from `layer` on: (layer + (depth - layer) r) / depth = keep.

    Raises:
        Misuse: the layers before it alone spend more.
    """
    left = keep * depth - layer
    if left <= 0:
        raise Misuse(
            f"{name} keeps every token up to layer {layer} of {depth}, a mean of "
            f"{layer / depth:.3g}; keep={keep:g} is not above it"
        )
    return left / (depth - layer)


def two_stages(keep: float, layer: int, depth: int, later: float) -> tuple[float, float]:
    """The share r kept from the first layer on, and the share of these that is kept from `layer`
    on: (layer r + (depth - layer) r later) / depth = keep. Where r would be above 1, all are kept
    at first and the second share grows instead.
    """
    first = keep * depth / (layer + (depth - layer) * later)
    if first <= 1:
        return first, later
    return 1.0, (keep * depth - layer) / (depth - layer)

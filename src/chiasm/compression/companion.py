"""What can run beside a method of tokens: members that change precision, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from chiasm.compression.method import FILES, WHAT
from chiasm.compression.uses import Uses
from chiasm.compression.visual_kv import VisualKV
from chiasm.errors import Misuse
from chiasm.registry import Registry


@dataclass(frozen=True, kw_only=True)
class WeightCodec:
    """The decoder's matrices as whole numbers, a scale for each output channel."""

    bits: int = 8


@dataclass(frozen=True, kw_only=True)
class Precision:
    """What a host holds less exactly; None: as it is."""

    visual_kv: VisualKV | None = None
    weights: WeightCodec | None = None


class Companion(Protocol):
    """A frozen value: the published settings where none are given."""

    @property
    def uses(self) -> Uses: ...

    def precision(self) -> Precision: ...


_COMPANIONS: Registry[Callable[..., Companion]] = Registry(WHAT, FILES)


def register_companion(name: str) -> Callable[[type], type]:
    """Enter a companion's class under its name."""
    return lambda made: _COMPANIONS.enter(name, made)  # type: ignore[return-value]


def companions() -> dict[str, Callable[..., Companion]]:
    """All companions by name, in alphabetical order."""
    return _COMPANIONS.every()


def companion(name: str, **settings: object) -> Companion:
    """The companion of this name.

    Raises:
        Misuse: it has no such setting.
    """
    made = _COMPANIONS.of(name)
    try:
        return made(**settings)
    except TypeError as error:
        raise Misuse(f"{name}: {error}") from error

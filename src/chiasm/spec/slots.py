"""How a fusion answer fills the backbone's slots, without importing the backbone."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from torch import nn

StackMaker = Callable[[int], nn.Module]
"""Makes a stack of so many further decoder blocks, under the rule of fused rows."""


@dataclass(frozen=True)
class SlotParts:
    """What `build` hands a fusion answer: makers of parts that other rooms own."""

    memory_width: int
    """Width of the memory tokens that layers read."""
    projector: Callable[[], nn.Module]
    """Makes one layer's projector from memory width to host width."""
    stack: StackMaker


@dataclass(frozen=True)
class Slots:
    """Modules for the `before` slots, by layer, and for the prologue of the stack."""

    before: Mapping[int, nn.Module] = field(default_factory=dict[int, nn.Module])
    prologue: nn.Module | None = None

"""What a slot of the stack may read in one call besides the hidden states."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from jaxtyping import Float, Int
from torch import Tensor

from chiasm.stream import Memory, Permission, Stream, TokenTable


class Execution(StrEnum):
    """Planned gathers only the rows that work; masked runs every row under the equivalent mask."""

    PLANNED = "planned"
    MASKED = "masked"


class MemoryCache(Protocol):
    """The part of a cache that slots use: memory keys and values by layer, computed once."""

    memory: dict[int, tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Reading:
    """The rows of this call, and the memory they may read."""

    layer: int
    table: TokenTable
    """The rows of this call, in storage order."""
    memory: Memory | None
    """None in a cached step that brings no new media."""
    source: Int[Tensor, "batch token"] | None
    """Which memory token each row stands for, -1 for none."""
    in_order: bool
    """True when the first rows stand for memory tokens 0, 1, 2, … and no other row for one."""
    permit: Callable[[], Permission | None]
    """Makes `permission`, the first time that a layer asks."""
    cache: MemoryCache | None

    @property
    def permission(self) -> Permission | None:
        """Which rows may read which memory tokens; None when there is no memory."""
        return self.permit()


class Before(Protocol):
    """Acts on the hidden states as a layer begins."""

    def __call__(
        self, hidden: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token width"]: ...


class Prologue(Protocol):
    """Acts on the stream before the first layer."""

    def __call__(self, stream: Stream, execution: Execution) -> Stream: ...

"""Rules of order: causal, sliding window, packed segments.

Causal, four rows (query down, key across):

    1 . . .
    1 1 . .
    1 1 1 .
    1 1 1 1
"""

from dataclasses import dataclass

from torch import Tensor

from chiasm.stream import SHARED, Rule
from chiasm.stream.rule import Side


@dataclass(frozen=True)
class Causal(Rule):
    """A row sees itself and the rows before it in reading order."""

    def permit(self, q: Side, k: Side) -> Tensor:
        return k.order <= q.order

    @property
    def looks_ahead(self) -> bool:
        return False


@dataclass(frozen=True)
class Window(Rule):
    """A row sees rows fewer than `length` places away (Mistral's sliding window)."""

    length: int

    def permit(self, q: Side, k: Side) -> Tensor:
        return q.order - k.order < self.length


@dataclass(frozen=True)
class SameSegment(Rule):
    """Packed segments see their own rows and the shared prefix, never each other.

    Prefix (segment 0) of two rows, then two segments of one row each, under `Causal`:

        1 . . .
        1 1 . .
        1 1 1 .
        1 1 . 1
    """

    def permit(self, q: Side, k: Side) -> Tensor:
        return (k.segment == q.segment) | (k.segment == SHARED)

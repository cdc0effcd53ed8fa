"""Features as they are, for layers that read them in the encoder's own space."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from chiasm.spec import Work


@dataclass(frozen=True)
class Unchanged:
    """Every feature is a token; whoever reads it projects it."""

    layerwise: bool = False
    codes: ClassVar[int | None] = None
    """Ids pass as features do, unread."""

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        return grid[0] * grid[1]

    def width(self, width: int, host_width: int) -> int:
        return width

    def build(self, width: int, host_width: int) -> nn.Module | None:
        return None

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        return ()

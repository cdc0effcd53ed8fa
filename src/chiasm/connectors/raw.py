"""The identity: what enters, or is read, are the encoder's own features."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import nn

from chiasm.spec import Work


@dataclass(frozen=True)
class RawFeatures:
    """No projection: features keep their width, and what reads them maps it (Inverse-LLaVA)."""

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

"""A projector of its own for every decoder layer (SAISA)."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from chiasm.spec import Connector, Work


@dataclass(frozen=True)
class PerLayer:
    """Layer i reads P_i(features); the features themselves stay in the encoder's space.

    `each` builds one projector; it must not change the number of tokens. The bill of one projector
    is counted once per layer by the cost model.
    """

    each: Connector
    layerwise: bool = True

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        return self.each.count(grid)

    def width(self, width: int, host_width: int) -> int:
        return width

    def build(self, width: int, host_width: int) -> nn.Module | None:
        """One layer's projector."""
        return self.each.build(width, host_width)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        return self.each.work(grid, width, host_width)

"""The null answer: there are no features to connect."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from chiasm.spec import Work


@dataclass(frozen=True)
class NoConnector:
    """No media; the language-only control."""

    layerwise: bool = False

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        return 0

    def width(self, width: int, host_width: int) -> int:
        return 0

    def build(self, width: int, host_width: int) -> nn.Module | None:
        return None

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        return ()

"""A connector with adapters beside its linear layers; what it tells others is what it told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from chiasm.spec import Work
from chiasm.spec.answer import Connector


class Attaches(Protocol):
    """Puts adapters into a module (`chiasm.experts.AdaptedLinears`)."""

    def attach(self, module: nn.Module) -> nn.Module: ...

    def macs(self, module: nn.Module) -> int: ...


@dataclass(frozen=True, kw_only=True)
class AdaptedConnector:
    """The connector's own layers W x, and what `adapters` add to them, nothing at first.

    One that reads what is asked is refused: its bill is another.
    """

    connector: Connector
    adapters: Attaches

    def __post_init__(self) -> None:
        if self.connector.conditioned:
            raise ValueError("a connector that reads what is asked takes no adapters")

    @property
    def layerwise(self) -> bool:
        return self.connector.layerwise

    @property
    def conditioned(self) -> bool:
        return False

    def count(self, grid: tuple[int, int]) -> int:
        return self.connector.count(grid)

    def width(self, width: int, host_width: int) -> int:
        return self.connector.width(width, host_width)

    def build(self, width: int, host_width: int) -> nn.Module | None:
        made = self.connector.build(width, host_width)
        return None if made is None else self.adapters.attach(made)

    def work(self, grid: tuple[int, int], width: int, host_width: int) -> Sequence[Work]:
        """Every adapted layer is billed for one row a token that comes out."""
        own = tuple(self.connector.work(grid, width, host_width))
        with torch.device("meta"):
            made = self.connector.build(width, host_width)
        if made is None:
            return own
        macs = self.connector.count(grid) * self.adapters.macs(made)
        return (*own, Work("connector", "adapters", macs))

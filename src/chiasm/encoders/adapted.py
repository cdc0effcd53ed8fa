"""An encoder with adapters beside its linear layers; what it tells others is what it told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from chiasm.spec import Work
from chiasm.spec.answer import Encoder
from chiasm.spec.geometry import Size


class Attaches(Protocol):
    """Puts adapters into a module (`chiasm.experts.AdaptedLinears`)."""

    def attach(self, module: nn.Module) -> nn.Module: ...

    def macs(self, module: nn.Module) -> int: ...


@dataclass(frozen=True, kw_only=True)
class AdaptedEncoder:
    """The encoder's own layers W x, and what `adapters` add to them, nothing at first."""

    encoder: Encoder
    adapters: Attaches

    @property
    def width(self) -> int:
        return self.encoder.width

    def grid(self, size: Size) -> tuple[int, int]:
        return self.encoder.grid(size)

    def build(self) -> nn.Module | None:
        made = self.encoder.build()
        return None if made is None else self.adapters.attach(made)

    def work(self, size: Size) -> Sequence[Work]:
        """Every adapted layer is billed for one row a token; class rows are not counted."""
        own = tuple(self.encoder.work(size))
        with torch.device("meta"):
            made = self.encoder.build()
        if made is None:
            return own
        rows, columns = self.encoder.grid(size)
        return (*own, Work("encoder", "adapters", rows * columns * self.adapters.macs(made)))

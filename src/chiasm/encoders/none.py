"""The null answer: the system looks at nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from chiasm.spec import Size, Work


@dataclass(frozen=True)
class NoEncoder:
    """No media; the language-only control."""

    width: int = 0

    def grid(self, size: Size) -> tuple[int, int]:
        return 0, 0

    def build(self) -> nn.Module | None:
        return None

    def work(self, size: Size) -> Sequence[Work]:
        return ()

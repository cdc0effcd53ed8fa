"""The null answer: every token is kept, at full precision and depth."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from chiasm.spec import Work


@dataclass(frozen=True)
class NoCompression:
    """Keeps everything."""

    @property
    def of_tokens(self) -> bool:
        return False

    def count(self, tokens: int) -> int:
        return tokens

    def build(self, width: int) -> nn.Module | None:
        return None

    def work(self, tokens: int, width: int) -> Sequence[Work]:
        return ()

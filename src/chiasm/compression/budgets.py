"""How many tokens stay."""

import math
from dataclasses import dataclass

from torch import Tensor

from chiasm.errors import Misuse


@dataclass(frozen=True)
class Share:
    """A share of the tokens in (0, 1], rounded to the nearest number, at least one."""

    share: float

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise Misuse(f"a share of {self.share:g} of the tokens is not in (0, 1]")

    def count(self, scores: Tensor) -> int:
        return max(1, math.floor(self.share * scores.numel() + 0.5)) if scores.numel() else 0


@dataclass(frozen=True)
class Count:
    """A fixed number of tokens, or all where there are fewer."""

    most: int

    def __post_init__(self) -> None:
        if self.most < 1:
            raise Misuse(f"a budget of {self.most} tokens keeps nothing; keep at least 1")

    def count(self, scores: Tensor) -> int:
        return min(self.most, scores.numel())


@dataclass(frozen=True)
class Nothing:
    """No token stays: only behind layers in which the text has read them."""

    def count(self, scores: Tensor) -> int:
        return 0

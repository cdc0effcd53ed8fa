"""How far a method lies above a control, and what its interval permits to say."""

from dataclasses import dataclass

CONTROLS = ("random", "uniform")
"""Run whether they are named or not: what every method has to beat."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Accuracy above a control's, over the same questions, with an interval over pictures."""

    value: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """`beats` or `loses` only where the interval leaves out zero."""
        if self.low > 0:
            return "beats"
        return "loses" if self.high < 0 else "zero within"

"""One figure of a paper beside what this library counts."""

from collections.abc import Callable
from dataclasses import dataclass

TOLERANCE = 0.02


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One figure of a paper."""

    slug: str
    figure: str
    """What is counted."""
    setting: str
    """The sizes and the convention under which both figures hold."""
    paper: float
    ours: Callable[[], float]
    unit: str = ""
    note: str = ""
    """Why ours differs, where it does."""

    def ratio(self) -> float:
        """Ours over the paper's."""
        return self.ours() / self.paper

    def holds(self) -> bool:
        return abs(self.ratio() - 1.0) <= TOLERANCE + 1e-9

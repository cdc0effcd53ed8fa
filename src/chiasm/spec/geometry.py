"""Geometry: how many tokens an image becomes, from its size alone, before any pixel is decoded.

Data, model, cost and server all call `geometry`; there is no second count anywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from chiasm.spec.views import Size, View, Views


@dataclass(frozen=True)
class Geometry:
    """What one image becomes: its views, each view's token grid, and the counts that follow."""

    views: tuple[View, ...]
    grids: tuple[tuple[int, int], ...]
    tokens_per_view: tuple[int, ...]
    kept_per_view: tuple[int, ...]
    """Tokens left by compression."""
    placeholders: int
    """Rows the image occupies in the sequence; fewer than the kept tokens stand for the last."""

    @property
    def kept(self) -> int:
        """Tokens left by compression, over all views."""
        return sum(self.kept_per_view)

    @property
    def first_source(self) -> int:
        """The kept token that the first of these rows stands for."""
        return max(0, self.kept - self.placeholders)

    @property
    def rows_per_view(self) -> tuple[int, ...]:
        """How many of these rows stand for each view's tokens; spare rows count to the last."""
        left, rows = self.placeholders, list[int]()
        for kept in reversed(self.kept_per_view):
            rows.append(min(left, kept))
            left -= rows[-1]
        rows[:1] = [rows[0] + left] if rows else []
        return tuple(reversed(rows))

    @property
    def tokens(self) -> int:
        """Connector output tokens over all views: what layers read, where they read a memory."""
        return sum(self.tokens_per_view)


class _Counts(Protocol):
    @property
    def views(self) -> Views: ...
    @property
    def encoder(self) -> "_Grid": ...
    @property
    def connector(self) -> "_Count": ...
    @property
    def compression(self) -> "_Kept": ...
    @property
    def fusion(self) -> "_Placeholders": ...


class _Grid(Protocol):
    def grid(self, size: Size) -> tuple[int, int]: ...


class _Count(Protocol):
    def count(self, grid: tuple[int, int]) -> int: ...


class _Kept(Protocol):
    def count(self, tokens: int) -> int: ...


class _Placeholders(Protocol):
    def placeholders(self, tokens: int) -> int: ...


def geometry(answers: _Counts, size: Size, beside: Sequence[Size] = ()) -> Geometry:
    """Views, grids and token counts of one image of `size` under a system's answers.

    `beside` are the sizes of the sample's other images, with which it may share a budget.
    """
    views = answers.views.plan(size, beside)
    grids = tuple(answers.encoder.grid(view.target) for view in views)
    counts = tuple(answers.connector.count(grid) for grid in grids)
    kept = tuple(answers.compression.count(count) for count in counts)
    return Geometry(views, grids, counts, kept, answers.fusion.placeholders(sum(kept)))

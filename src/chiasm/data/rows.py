"""The rows of one sample as they are written: text, images, latents, each with its identity."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from chiasm.data.points import row_grid
from chiasm.data.spotted_rows import SpottedRows
from chiasm.spec import Geometry, Latent
from chiasm.stream import Modality

SIDE = ("modality", "item", "unit", "turn", "role", "segment", "order")


@dataclass
class SampleRows:
    """The rows of one sample, as growing columns."""

    ids: list[int] = field(default_factory=list)
    columns: dict[str, list[int]] = field(default_factory=lambda: {name: [] for name in SIDE})
    place: list[tuple[float, float, float]] = field(default_factory=list)
    position: list[int] = field(default_factory=list)
    source: list[int] = field(default_factory=list)
    latent_of: list[int] = field(default_factory=list)
    answer: list[bool] = field(default_factory=list)
    images: list[int] = field(default_factory=list)
    """The batch's image rows that belong to this sample, in order."""
    latents: list[Tensor] = field(default_factory=list)
    """The latent rows `[row, channel]` of each picture that enters as latents, in order."""
    memory: list[tuple[int, int, float, float, float]] = field(default_factory=list)
    """(item, unit, t, y, x) of every memory token."""
    entered: int = 0
    """Kept tokens of the images so far."""
    ends: list[int] = field(default_factory=list)
    """The last row of each segment: where an answer would continue."""
    spotted: SpottedRows = field(default_factory=SpottedRows)

    def add(self, ids: Sequence[int], position: int, answer: bool, **identity: int) -> None:
        """Rows of one kind, at consecutive positions."""
        count = len(ids)
        self.ids += ids
        identity = {"modality": int(Modality.TEXT), "unit": 0, **identity}
        for name in SIDE[:-1]:
            self.columns[name] += [identity[name]] * count
        # Reading order restarts with the segment, as its reader's does; the others are not between.
        self.columns["order"] += range(position, position + count)
        self.position += range(position, position + count)
        self.source += [-1] * count
        self.latent_of += [-1] * count
        self.place += [(0.0, 0.0, 0.0)] * count
        self.answer += [answer] * count


def place_latents(
    rows: SampleRows, latent: Latent, position: int, identity: dict[str, int], time: float
) -> int:
    """Rows of the newest picture's latents; returns the position after them."""
    count, (_, across) = latent.rows, latent.grid
    rows.add([0] * count, position, False, modality=int(Modality.LATENT), **identity)
    base = count * (len(rows.latents) - 1)
    rows.latent_of[-count:] = range(base, base + count)
    rows.place[-count:] = [(time, float(at // across), float(at % across)) for at in range(count)]
    return position + count


def place_image(
    rows: SampleRows,
    plan: Geometry,
    position: int,
    identity: dict[str, int],
    tags: Sequence[tuple[Sequence[int], Sequence[int]]],
) -> int:
    """One image's rows, view by view between the words around it, and its memory tokens.

    Returns the position after them.
    """
    source, spots = rows.entered + plan.first_source, []
    for view, (tag, close), count, grid, tokens in zip(
        plan.views, tags, plan.rows_per_view, plan.grids, plan.tokens_per_view, strict=True
    ):
        rows.add(tag, position, False, unit=view.unit, **identity)
        position += len(tag)
        rows.add(
            [0] * count,
            position,
            False,
            modality=int(Modality.IMAGE),
            unit=view.unit,
            **identity,
        )
        if count:
            rows.source[-count:] = range(source, source + count)
        places = _spots(grid, tokens)
        if len(places) == count:
            rows.place[-count:] = [(0.0, y, x) for y, x in places]
        spots += [(identity["item"], view.unit, 0.0, y, x) for y, x in places]
        position, source = position + count, source + count
        rows.add(close, position, False, unit=view.unit, **identity)
        position += len(close)
    rows.memory += spots
    rows.entered += max(plan.kept, plan.placeholders)
    return position


def _spots(grid: tuple[int, int], count: int) -> list[tuple[float, float]]:
    """(y, x) of a view's tokens, line by line of its grid.

    Tokens beyond the grid (marks) continue its lines; merged blocks stand in their own, smaller
    grid, other tokens that are fewer than patches in one row.
    """
    merged = row_grid(grid, count) or (1, count)
    columns = grid[1] if grid[0] * grid[1] <= count else merged[1]
    return [(float(at // columns), float(at % columns)) for at in range(count)]

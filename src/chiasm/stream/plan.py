"""Row plans: which rows do which work in a layer. The plan, not the mask, is what saves work."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import permutations

import torch
from jaxtyping import Bool
from torch import Tensor

from chiasm.stream.identity import Modality
from chiasm.stream.table import TokenTable


@dataclass(frozen=True)
class Rows:
    """A set of rows, by what they stand for."""

    modalities: tuple[Modality, ...]
    """Ascending, without repeats."""

    @classmethod
    def of(cls, *modalities: Modality) -> "Rows":
        return cls(tuple(sorted(set(modalities))))

    def __and__(self, other: "Rows") -> "Rows":
        return Rows(tuple(m for m in self.modalities if m in other.modalities))

    def __or__(self, other: "Rows") -> "Rows":
        return Rows.of(*self.modalities, *other.modalities)

    def __invert__(self) -> "Rows":
        return Rows(tuple(m for m in Modality if m not in self.modalities))

    def __bool__(self) -> bool:
        return bool(self.modalities)

    def holds(self, modality: Tensor) -> Tensor:
        """True where a row of this modality belongs to the set; any shape, same shape out."""
        if self == ALL or not self:
            return torch.full_like(modality, bool(self), dtype=torch.bool)
        inside = len(self.modalities) <= len(Modality) // 2
        few = self if inside else ~self
        found = torch.zeros_like(modality, dtype=torch.bool)
        for one in few.modalities:
            found = found | (modality == int(one))
        return found if inside else ~found

    def select(self, table: TokenTable) -> Bool[Tensor, "batch token"]:
        """True for the rows in the set."""
        return self.holds(table.modality)


ALL = Rows.of(*Modality)
NONE = Rows(())
TEXT = Rows.of(Modality.TEXT)
MEDIA = ~TEXT


@dataclass(frozen=True)
class RowPlan:
    """The rows that make queries, make keys and values, pass the output projection, pass the
    feed-forward.

    A row that passes the output projection without making a query reads its own value only
    (diagonal attention): `h <- h + W_o W_v norm(h)`. A row in none of the sets is not touched.
    """

    query: Rows = ALL
    key_value: Rows = ALL
    output: Rows = ALL
    feed_forward: Rows = ALL

    @property
    def complete(self) -> bool:
        """True when every row does everything."""
        return self == RowPlan()

    def sets(self) -> tuple[Rows, Rows, Rows, Rows]:
        return self.query, self.key_value, self.output, self.feed_forward

    def updating(self, rows: Rows) -> "RowPlan":
        """The part of the plan that changes `rows` only; keys and values stay everybody's."""
        return RowPlan(
            self.query & rows, self.key_value, self.output & rows, self.feed_forward & rows
        )


def groups_of(sets: Iterable[Rows]) -> tuple[Rows, ...]:
    """The fewest disjoint groups, in an order in which each of `sets` is a run of neighbours.

    Text comes last where the sets allow it. Raises ValueError for sets that no order makes
    contiguous.
    """
    wanted = tuple(dict.fromkeys(sets))
    by_membership: dict[tuple[bool, ...], list[Modality]] = {}
    for modality in reversed(Modality):
        signature = tuple(modality in rows.modalities for rows in wanted)
        by_membership.setdefault(signature, []).append(modality)
    atoms = [Rows.of(*group) for group in by_membership.values()]
    orders = sorted(permutations(atoms), key=lambda order: not order[-1] & TEXT)
    for order in orders:
        if all(_contiguous(order, rows) for rows in wanted):
            return order
    raise ValueError(f"no order of rows makes these {len(wanted)} row sets contiguous: {wanted}")


def _contiguous(order: Sequence[Rows], rows: Rows) -> bool:
    inside = [at for at, group in enumerate(order) if group & rows]
    return not inside or inside[-1] - inside[0] + 1 == len(inside)

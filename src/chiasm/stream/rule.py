"""Visibility: a predicate over two rows of the token table, composed with `&`, `|`, `~`.

A rule sees two `TokenTable`-like views whose columns broadcast against each other, so the same
line of code answers for a dense `[batch, query, key]` mask and for one (query, key) pair of
FlexAttention.
"""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from chiasm.stream.plan import RowPlan, Rows


class Side(Protocol):
    """One side of a pair: the table's columns, shaped so that both sides broadcast."""

    @property
    def modality(self) -> Tensor: ...
    @property
    def item(self) -> Tensor: ...
    @property
    def unit(self) -> Tensor: ...
    @property
    def turn(self) -> Tensor: ...
    @property
    def role(self) -> Tensor: ...
    @property
    def segment(self) -> Tensor: ...
    @property
    def order(self) -> Tensor: ...
    @property
    def valid(self) -> Tensor: ...


class Rule:
    """May the row `q` see the row `k`?"""

    def permit(self, q: Side, k: Side) -> Tensor:
        """A boolean tensor of the sides' broadcast shape."""
        raise TypeError(f"{type(self).__name__} does not define permit()")

    def at(self, layer: int) -> "Rule":
        """The rule that holds in one layer; most rules hold in all."""
        return self

    @property
    def looks_ahead(self) -> bool:
        """Whether a row may see later rows: then what it holds depends on them, and a prefix
        cannot be shared by packed segments or cached before the rest is known. True unless a rule
        is sure that it never permits a later row.
        """
        return True

    def __and__(self, other: "Rule") -> "Rule":
        return Both(self, other)

    def __or__(self, other: "Rule") -> "Rule":
        return Either(self, other)

    def __invert__(self) -> "Rule":
        return Not(self)


@dataclass(frozen=True)
class Both(Rule):
    left: Rule
    right: Rule

    def permit(self, q: Side, k: Side) -> Tensor:
        return self.left.permit(q, k) & self.right.permit(q, k)

    def at(self, layer: int) -> Rule:
        return Both(self.left.at(layer), self.right.at(layer))

    @property
    def looks_ahead(self) -> bool:
        return self.left.looks_ahead and self.right.looks_ahead


@dataclass(frozen=True)
class Either(Rule):
    left: Rule
    right: Rule

    def permit(self, q: Side, k: Side) -> Tensor:
        return self.left.permit(q, k) | self.right.permit(q, k)

    def at(self, layer: int) -> Rule:
        return Either(self.left.at(layer), self.right.at(layer))

    @property
    def looks_ahead(self) -> bool:
        return self.left.looks_ahead or self.right.looks_ahead


@dataclass(frozen=True)
class Not(Rule):
    inner: Rule

    def permit(self, q: Side, k: Side) -> Tensor:
        return ~self.inner.permit(q, k)

    def at(self, layer: int) -> Rule:
        return Not(self.inner.at(layer))


@dataclass(frozen=True)
class QueryRows(Rule):
    """The querying row belongs to a row set: how a plan reads as a mask."""

    rows: Rows

    def permit(self, q: Side, k: Side) -> Tensor:
        return self.rows.holds(q.modality)


@dataclass(frozen=True)
class OwnRow(Rule):
    """A row sees itself."""

    def permit(self, q: Side, k: Side) -> Tensor:
        return q.order == k.order

    @property
    def looks_ahead(self) -> bool:
        return False


@dataclass(frozen=True)
class KeyRows(Rule):
    """The row that is seen belongs to a row set."""

    rows: Rows

    def permit(self, q: Side, k: Side) -> Tensor:
        return self.rows.holds(k.modality)


def as_mask(plan: RowPlan, rule: Rule) -> Rule:
    """The rule under which running every row gives what the plan gives.

    Rows without a query see nothing, except that those which still pass the output projection see
    themselves.
    """
    diagonal = QueryRows(plan.output) & ~QueryRows(plan.query) & OwnRow()
    return (rule & QueryRows(plan.query) & KeyRows(plan.key_value)) | diagonal

"""Visible pairs: how many (query, key) pairs a rule permits, counted on the rows themselves."""

from chiasm.stream import ALL, Rows, Rule, TokenTable
from chiasm.visibility import Causal, dense_mask

CHUNK = 1 << 22
"""Mask entries that are materialised at a time."""


def chosen(table: TokenTable, rows: Rows) -> TokenTable:
    """The rows of a one-sample table that belong to a set of a row plan."""
    return table if rows == ALL else table.rows(rows.select(table)[0].nonzero().T)


def visible_pairs(rule: Rule, queries: TokenTable, keys: TokenTable) -> int:
    """Permitted pairs between two one-sample tables without padding.

    Plain causal order of a sequence with itself is 1 + 2 + … + rows; every other rule is
    materialised.
    """
    if rule == Causal() and queries is keys:
        return queries.shape[1] * (queries.shape[1] + 1) // 2
    return materialised_pairs(rule, queries, keys)


def materialised_pairs(rule: Rule, queries: TokenTable, keys: TokenTable) -> int:
    """The same, always counted on the dense mask, some rows at a time."""
    step = max(1, CHUNK // max(1, keys.shape[1]))
    starts = range(0, queries.shape[1], step)
    pieces = (queries.cut(slice(start, start + step)) for start in starts)
    return sum(int(dense_mask(rule, piece, keys).sum()) for piece in pieces)

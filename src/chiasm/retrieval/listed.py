"""A store in memory that reads every row: small, exact, and what the engines are held against."""

import math
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from chiasm.retrieval.fields import fields_of
from chiasm.retrieval.rows import Widths, check_count, check_query
from chiasm.retrieval.store import Column, Found, Row
from chiasm.retrieval.terms import terms, unit_terms
from chiasm.retrieval.unit import Unit
from chiasm.retrieval.where import Where, holds

K1, B = 1.2, 0.75


class Listed:
    """Rows in a dictionary, gone with the process."""

    def __init__(self, *, average: float | None = None) -> None:
        self.average = average
        """Terms that BM25 takes for a row's usual length; None is what they have on average."""
        self.rows: dict[str, Row] = {}
        self.widths = Widths()

    def put(self, rows: Sequence[Row]) -> None:
        self.widths = self.widths.after(rows)
        self.rows |= {row.unit.id: row for row in rows}

    def delete(self, where: Where) -> int:
        chosen = self._chosen(where)
        for row in chosen:
            del self.rows[row.unit.id]
        return len(chosen)

    def units(self, ids: Sequence[str]) -> list[Unit]:
        return [self.rows[one].unit for one in ids if one in self.rows]

    def select(self, where: Where) -> list[Row]:
        return self._chosen(where)

    def files(self) -> dict[str, str]:
        return {row.unit.path: row.unit.file for row in self.rows.values()}

    def count(self, where: Where | None = None) -> int:
        return len(self._chosen(where))

    def nearest(
        self, column: Column, vector: np.ndarray, k: int, where: Where | None = None
    ) -> list[Found]:
        asked = check_query(column, vector, self.widths.vectors, 1)

        def score(row: Row) -> float | None:
            own = getattr(row, column)
            return None if own is None else float(np.dot(own.astype(np.float64), asked))

        return self._best(score, k, where)

    def matching(self, words: str, k: int, where: Where | None = None) -> list[Found]:
        """Of N rows, n have a term, f times in a row of l terms: the sum over the asked terms of

        ln(1 + (N - n + 0.5) / (n + 0.5)) (K1 + 1) f / (f + K1 (1 - B + B l / average)).
        """
        counts = {one: Counter(unit_terms(row.unit)) for one, row in self.rows.items()}
        having = Counter(term for own in counts.values() for term in own)
        total = len(counts)
        average = self.average or sum(own.total() for own in counts.values()) / max(1, total)
        asked = set(terms(words))

        def score(row: Row) -> float | None:
            own = counts[row.unit.id]
            longer = K1 * (1 - B + B * own.total() / average)
            parts = [
                math.log(1 + (total - having[term] + 0.5) / (having[term] + 0.5))
                * ((K1 + 1) * own[term] / (own[term] + longer))
                for term in asked
                if own[term]
            ]
            return sum(parts) if parts else None

        return self._best(score, k, where)

    def interacting(self, tokens: np.ndarray, k: int, where: Where | None = None) -> list[Found]:
        asked = check_query("tokens", tokens, self.widths.tokens, 2)

        def score(row: Row) -> float | None:
            if row.tokens is None:
                return None
            return float(np.dot(asked.astype(np.float64), row.tokens.T).max(1).sum())

        return self._best(score, k, where)

    def maintain(self) -> None:
        """There is nothing to do."""

    def close(self) -> None:
        """There is nothing to do."""

    def _chosen(self, where: Where | None) -> list[Row]:
        rows = self.rows.values()
        return [row for row in rows if where is None or holds(where, fields_of(row.unit))]

    def _best(
        self, score: Callable[[Row], float | None], k: int, where: Where | None
    ) -> list[Found]:
        check_count(k)
        scored = [(row.unit.id, score(row)) for row in self._chosen(where)]
        found = [(one, value) for one, value in scored if value is not None]
        return sorted(found, key=lambda pair: -pair[1])[:k]

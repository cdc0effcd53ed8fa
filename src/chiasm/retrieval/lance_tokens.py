"""Late interaction over a Lance table: scores are exact, whichever rows are scored.

Of few rows, all: their vectors are held in memory until the table changes. Of many, candidates: the
index over pooled vectors estimates scores, which only choose rows, and rows that it does not know
yet are all scored.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from chiasm.retrieval.lance_rows import token_settings, widths_of
from chiasm.retrieval.lance_sql import among
from chiasm.retrieval.maxsim import maxsim_all
from chiasm.retrieval.storage import Storage
from chiasm.retrieval.store import Found
from chiasm.retrieval.stored_tokens import STORAGES, Decoded
from chiasm.retrieval.tokens import Tokens

AT_ONCE = 1024
"""Rows read from the disk together."""
HAVE = "tokens IS NOT NULL"
PROBES = 32


@dataclass(frozen=True)
class _Held:
    """Every row's vectors, as they were in one version."""

    version: int
    places: dict[str, int]
    tokens: Tokens | None


@dataclass(frozen=True)
class _State:
    """What one version of the table has."""

    version: int
    documents: int
    """Rows that have tokens."""
    indexed: bool
    new: tuple[Any, ...]
    """Fragments that the index does not know yet."""


class LanceTokens:
    """A table's tokens; `best` is what is asked of them."""

    def __init__(self, table: Any, below: int, candidates: int) -> None:
        self.table, self.below, self.candidates = table, below, candidates
        self.held: _Held | None = None
        self.state: _State | None = None

    def best(self, asked: np.ndarray, k: int, where: str | None) -> list[Found]:
        """The k rows of the largest MaxSim, best first."""
        query = torch.from_numpy(asked)
        state = self._look()
        if state.documents < self.below:
            found = self._of_all(query, where)
        elif state.indexed:
            found = self._of_candidates(query, k, where, state)
        else:
            found = self._of_read(query, self._read(_both(HAVE, where)))
        return sorted(found, key=lambda pair: -pair[1])[:k]

    def _look(self) -> _State:
        version = self.table.version
        if self.state is None or self.state.version != version:
            data = self.table.to_lance()
            known: set[int] = set()
            for index in data.describe_indices():
                if index.field_names == ["near"]:
                    known.update(*(segment.fragment_ids for segment in index.segments))
            new = [one for one in data.get_fragments() if one.fragment_id not in known]
            documents = self.table.count_rows(HAVE)
            self.state = _State(version, documents, bool(known), tuple(new))
        return self.state

    def _of_all(self, query: torch.Tensor, where: str | None) -> list[Found]:
        held = self._hold()
        if held.tokens is None:
            return []
        if where is None:
            scores = maxsim_all([query], held.tokens)[0].tolist()
            return list(zip(held.places, scores, strict=True))
        read = self.table.search().where(_both(HAVE, where)).select(["id"]).to_arrow()
        ids = [one for one in read["id"].to_pylist() if one in held.places]
        if not ids:
            return []
        places = torch.tensor([held.places[one] for one in ids])
        return list(zip(ids, maxsim_all([query], held.tokens, places)[0].tolist(), strict=True))

    def _hold(self) -> _Held:
        version = self.table.version
        if self.held is None or self.held.version != version:
            self.held = None  # The old vectors go before the new ones come.
            ids: list[str] = []
            documents: list[bytes] = []
            for some, own in self._read(HAVE):
                ids += some
                documents += own
            tokens = self._packed(documents, self._storage) if ids else None
            self.held = _Held(version, {one: at for at, one in enumerate(ids)}, tokens)
        return self.held

    def _of_candidates(
        self, query: torch.Tensor, k: int, where: str | None, state: _State
    ) -> list[Found]:
        near = self.table.search(query.numpy(), vector_column_name="near")
        near = near.distance_type("cosine").nprobes(PROBES).limit(max(k, self.candidates))
        # Estimates for rows in the index and distances for the others are on different scales.
        near = near.fast_search()
        if where is not None:
            near = near.where(where, prefilter=True)
        ids = near.select(["id", "_distance"]).to_arrow()["id"].to_pylist()
        found = self._of_read(query, self._read(among("id", ids))) if ids else []
        new = self._of_read(query, self._unindexed(state, where)) if state.new else []
        return found + new

    def _unindexed(
        self, state: _State, where: str | None
    ) -> Iterator[tuple[list[str], list[bytes]]]:
        scanner = self.table.to_lance().scanner(
            columns=["id", "tokens"],
            filter=_both(HAVE, where),
            fragments=list(state.new),
            batch_size=AT_ONCE,
        )
        yield from _batches(scanner.to_batches())

    def _read(self, where: str) -> Iterator[tuple[list[str], list[bytes]]]:
        query = self.table.search().where(where).select(["id", "tokens"])
        yield from _batches(query.to_batches(AT_ONCE))

    def _of_read(
        self, query: torch.Tensor, read: Iterator[tuple[list[str], list[bytes]]]
    ) -> list[Found]:
        found: list[Found] = []
        for ids, documents in read:
            scores = maxsim_all([query], self._packed(documents, None))[0].tolist()
            found += zip(ids, scores, strict=True)
        return found

    def _packed(self, documents: Sequence[bytes], storage: Storage | None) -> Tokens:
        width = widths_of(self.table.schema).tokens or 0
        return Tokens.pack(Decoded(self._storage, documents, width), storage=storage)

    @property
    def _storage(self) -> Storage:
        settings = token_settings(self.table.schema)
        return STORAGES[settings[0] if settings else "float16"]


def _both(one: str, other: str | None) -> str:
    return one if other is None else f"{one} AND {other}"


def _batches(read: Any) -> Iterator[tuple[list[str], list[bytes]]]:
    for batch in read:
        if batch.num_rows:
            yield batch["id"].to_pylist(), batch["tokens"].to_pylist()

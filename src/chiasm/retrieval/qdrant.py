"""Rows in Qdrant: a folder of this process, or a server or cluster by its URL.

BM25 is a sparse vector: each term's saturated frequency, which the engine weighs by its rarity. The
usual length of a row, which the frequency is held against, is a constant, since an engine that
weighs rarity does not know it.
"""

import hashlib
import importlib.util
from base64 import b64decode, b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid5

import numpy as np

from chiasm.errors import Misuse
from chiasm.retrieval.edge_points import EdgePoints
from chiasm.retrieval.fields import fields_of
from chiasm.retrieval.listed import K1, B
from chiasm.retrieval.points import TERMS, TOKENS, Point, Points, Sparse
from chiasm.retrieval.qdrant_filter import Filter, key, pushed
from chiasm.retrieval.record import from_record, record
from chiasm.retrieval.rows import Widths, check_count, check_query
from chiasm.retrieval.server_points import ServerPoints
from chiasm.retrieval.store import Column, Found, Row
from chiasm.retrieval.terms import terms, unit_terms
from chiasm.retrieval.unit import Unit
from chiasm.retrieval.where import Where, holds

AVERAGE = 256.0
"""Terms that a row is taken to have usually."""
SPACE = UUID("8f2f6b4e-6a4c-4f0e-9a55-0d6c41d1a6f3")
"""Names points by their unit's id."""
EVERY_ROW = 0
"""A term that no word is: engines count rows by the sparse vectors that are not empty."""
ASKED_AT_ONCE = 1000
KEPT = ("record", "shown")


class Qdrant:
    """A `Store` over `Points`; `open` makes one."""

    def __init__(self, points: Points) -> None:
        self.points = points
        found = points.widths()
        self.widths = Widths(found.get(Column.WORDS), found.get(TOKENS))

    @classmethod
    def open(cls, location: str | Path, *, api_key: str | None = None) -> "Qdrant":
        """Of a folder, or of `http://host:6333/collection`; made if there is none.

        Raises:
            Misuse: the client is not installed, or the URL names no collection.
            ChiasmError: it cannot be opened, or another process has the folder open.
        """
        server = str(location).startswith(("http://", "https://"))
        module = "qdrant_client" if server else "qdrant_edge"
        if importlib.util.find_spec(module) is None:
            raise Misuse(f"{module} is not installed: pip install 'chiasm[qdrant]'")
        if not server:
            folder = Path(location)
            if folder.exists() and not folder.is_dir():
                raise Misuse(f"{folder} is a file; give a folder")
            return cls(EdgePoints(folder / "qdrant"))
        from qdrant_client import QdrantClient

        told = urlsplit(str(location))
        collection = told.path.strip("/")
        if not collection or "/" in collection:
            raise Misuse(f"{location} names no collection; give http://host:6333/collection")
        client = QdrantClient(
            url=f"{told.scheme}://{told.netloc}", api_key=api_key, check_compatibility=False
        )
        return cls(ServerPoints(client, collection))

    def put(self, rows: Sequence[Row]) -> None:
        if not rows:
            return
        widths = self.widths.after(rows)
        if widths.vectors is not None and self.widths.vectors is None:
            for column in Column:
                self.points.widen(str(column), widths.vectors)
        if widths.tokens is not None and self.widths.tokens is None:
            self.points.widen(TOKENS, widths.tokens)
        self.widths = widths
        self.points.upsert([_point(row) for row in rows])

    def delete(self, where: Where) -> int:
        told = self._filter(where)
        ids = [one for one, _ in self.points.scroll(told, ["id"])]
        if ids:
            self.points.delete(ids)
        return len(ids)

    def units(self, ids: Sequence[str]) -> list[Unit]:
        found: dict[str, Unit] = {}
        for start in range(0, len(ids), ASKED_AT_ONCE):
            some = [_name(one) for one in ids[start : start + ASKED_AT_ONCE]]
            for payload in self.points.get(some, KEPT):
                unit = _unit(payload)
                found[unit.id] = unit
        return [found[one] for one in ids if one in found]

    def select(self, where: Where) -> list[Row]:
        read = dict(self.points.scroll(self._filter(where), KEPT))
        names = list(read)
        found = []
        for start in range(0, len(names), ASKED_AT_ONCE):
            dense = self.points.dense(names[start : start + ASKED_AT_ONCE])
            for name, vectors in dense.items():
                arrays = {key: np.asarray(of, np.float32) for key, of in vectors.items()}
                found.append(Row(unit=_unit(read[name]), **arrays))
        return found

    def files(self) -> dict[str, str]:
        read = self.points.scroll(None, ["path", "file"])
        return {payload["path"]: payload["file"] for _, payload in read}

    def count(self, where: Where | None = None) -> int:
        return self.points.count(self._filter(where))

    def nearest(
        self, column: Column, vector: np.ndarray, k: int, where: Where | None = None
    ) -> list[Found]:
        check_count(k)
        asked = check_query(column, vector, self.widths.vectors, 1)
        if self.widths.vectors is None:
            return []
        return self.points.best(str(column), asked.tolist(), k, self._filter(where))

    def matching(self, words: str, k: int, where: Where | None = None) -> list[Found]:
        check_count(k)
        asked = sorted({_number(term) for term in terms(words)})
        if not asked:
            return []
        sparse = Sparse(indices=asked, values=[1.0] * len(asked))
        return self.points.best(TERMS, sparse, k, self._filter(where))

    def interacting(self, tokens: np.ndarray, k: int, where: Where | None = None) -> list[Found]:
        check_count(k)
        asked = check_query(TOKENS, tokens, self.widths.tokens, 2)
        if self.widths.tokens is None:
            return []
        return self.points.best(TOKENS, asked.tolist(), k, self._filter(where))

    def maintain(self) -> None:
        self.points.optimise()

    def close(self) -> None:
        self.points.close()

    def _filter(self, where: Where | None) -> Filter | None:
        told, exact = pushed(where)
        if exact or where is None:
            return told
        read = self.points.scroll(told, ["record"])
        found = [
            one
            for one, payload in read
            if holds(where, fields_of(from_record(payload["record"], None)))
        ]
        return {"has_id": found}


def _unit(payload: Mapping[str, Any]) -> Unit:
    shown = payload.get("shown")
    return from_record(payload["record"], None if shown is None else b64decode(shown))


def _point(row: Row) -> Point:
    unit = row.unit
    vectors: dict[str, list[float] | list[list[float]] | Sparse] = {TERMS: _terms(unit)}
    for column in Column:
        vector = getattr(row, column)
        if vector is not None:
            vectors[str(column)] = np.asarray(vector, np.float32).tolist()
    if row.tokens is not None:
        vectors[TOKENS] = np.asarray(row.tokens, np.float32).tolist()
    fields = {name: value for name, value in fields_of(unit).items() if value is not None}
    del fields["text"]
    payload: dict[str, object] = {key(name, value): value for name, value in fields.items()}
    payload["record"] = record(unit)
    if unit.picture is not None:
        payload["shown"] = b64encode(unit.picture).decode()
    return Point(id=_name(unit.id), vectors=vectors, payload=payload)


def _name(one: str) -> str:
    return str(uuid5(SPACE, one))


def _terms(unit: Unit) -> Sparse:
    counts = Counter(unit_terms(unit))
    longer = K1 * (1 - B + B * counts.total() / AVERAGE)
    values = {_number(term): (K1 + 1) * own / (own + longer) for term, own in counts.items()}
    values[EVERY_ROW] = 1.0
    return Sparse(indices=list(values), values=list(values.values()))


def _number(term: str) -> int:
    """Two of a library's terms share one of 2^32 numbers once in many thousand libraries."""
    digest = hashlib.blake2b(term.encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") or 1

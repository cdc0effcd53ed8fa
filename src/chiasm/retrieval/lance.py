"""Rows in a Lance table: a folder, or a place in object storage that many machines read.

Below `Tuning.exact_below` rows every search reads all rows and is exact. Above, `maintain` builds
indexes: IVF with RaBitQ codes for vectors (arXiv 2405.12497), whose best are scored again exactly,
inverted lists for words, and B-trees for ids and paths. Rows put since then are read beside them;
BM25 then counts terms as the index last did.
"""

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from pathlib import Path
from random import Random
from time import sleep
from typing import Any, TypeVar

import numpy as np

from chiasm.errors import ChiasmError, Misuse
from chiasm.retrieval.durable import Durable
from chiasm.retrieval.lance_rows import (
    base_schema,
    from_arrow,
    to_arrow,
    token_settings,
    vector_fields,
    widths_of,
)
from chiasm.retrieval.lance_sql import among, sql
from chiasm.retrieval.lance_tokens import LanceTokens
from chiasm.retrieval.record import from_record
from chiasm.retrieval.rows import Widths, check_count, check_query
from chiasm.retrieval.store import Column, Found, Row
from chiasm.retrieval.stored_tokens import storage_named
from chiasm.retrieval.terms import terms
from chiasm.retrieval.unit import Unit
from chiasm.retrieval.where import Where

TABLE = "units"
ASKED_AT_ONCE = 1000
"""Ids of one request."""
ATTEMPTS = 8
"""Of a write that others overtake."""
OVERTAKEN = ("conflict", "concurrent", "already exists")
"""What Lance's errors say of such a write; it has no class for them."""
OLD = timedelta(hours=1)
"""How long a version that nobody should still read is kept."""
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """When a store stops reading everything, and how hard it then looks."""

    exact_below: int = 5_000
    """Rows."""
    interacting_below: int = 10_000
    """Rows that have tokens."""
    probes: int = 20
    """Lists of vectors that a search reads."""
    refine: int = 10
    """Rows scored exactly for each one that is wanted."""
    candidates: int = 300
    """Rows whose tokens are scored exactly."""


class Lance:
    """A `Store`; `open` makes one."""

    def __init__(
        self,
        table: Any,
        durable: Durable | None,
        *,
        tokens: str | None,
        pooling: int | None,
        tuning: Tuning,
    ) -> None:
        self.table = table
        self.durable = durable
        self.tuning = tuning
        self._wanted = tokens, pooling
        self._widths = Widths()
        self._tokens = LanceTokens(table, tuning.interacting_below, tuning.candidates)

    @classmethod
    def open(
        cls,
        location: str | Path,
        *,
        tokens: str | None = None,
        pooling: int | None = None,
        storage_options: Mapping[str, str] | None = None,
        tuning: Tuning | None = None,
    ) -> "Lance":
        """The table of a folder or a URL (`s3://…`, `gs://…`, `az://…`), made if there is none.

        `tokens` is how vectors of late interaction are stored, `float16` (by default), `int8` or
        `signs`, and `pooling` how many become one before that; a table keeps what it began with.

        Raises:
            Misuse: LanceDB is not installed, or the table stores tokens otherwise.
            ChiasmError: the table cannot be read.
        """
        if importlib.util.find_spec("lancedb") is None:
            raise Misuse(
                "libraries need LanceDB, which is not installed: pip install 'chiasm[search]'"
            )
        import lancedb

        if tokens is not None:
            storage_named(tokens)
        durable = None
        if "://" not in str(location):
            folder = Path(location)
            if folder.exists() and not folder.is_dir():
                raise Misuse(f"{folder} is a file; give a folder")
            durable = Durable(folder / f"{TABLE}.lance")
            durable.heal()
        try:
            database = lancedb.connect(
                str(location),
                read_consistency_interval=timedelta(0),
                storage_options=None if storage_options is None else dict(storage_options),
            )
            table = _table(database)
        except (RuntimeError, OSError, ValueError) as error:
            raise ChiasmError(f"{location} cannot be opened: {_line(error)}") from error
        found = token_settings(table.schema)
        for wanted, own in zip((tokens, pooling), found or (None, None), strict=True):
            if None not in (wanted, own) and wanted != own:
                raise Misuse(f"{location} stores tokens with {own}, not {wanted}; leave that out")
        store = cls(
            table,
            durable,
            tokens=tokens,
            pooling=pooling,
            tuning=tuning or Tuning(),
        )
        store._settle()
        return store

    def put(self, rows: Sequence[Row]) -> None:
        if not rows:
            return
        self.widen(widths_of(self.table.schema).after(rows))

        def write() -> None:
            self.table.checkout_latest()
            merge = self.table.merge_insert("id").when_matched_update_all()
            # A row without a vector is nothing bad; those with one have been checked.
            merge.when_not_matched_insert_all().execute(
                to_arrow(rows, self.table.schema), on_bad_vectors="null"
            )

        self._written(write)

    def delete(self, where: Where) -> int:
        return self._written(lambda: self.table.delete(sql(where)).num_deleted_rows)

    def units(self, ids: Sequence[str]) -> list[Unit]:
        found: dict[str, Unit] = {}
        for start in range(0, len(ids), ASKED_AT_ONCE):
            some = list(ids[start : start + ASKED_AT_ONCE])
            query = self.table.search().where(among("id", some)).limit(len(some))
            for row in query.select(["record", "shown"]).to_arrow().to_pylist():
                unit = from_record(row["record"], row["shown"])
                found[unit.id] = unit
        return [found[one] for one in ids if one in found]

    def select(self, where: Where) -> list[Row]:
        return from_arrow(self.table.search().where(sql(where)).to_arrow())

    def files(self) -> dict[str, str]:
        read = self.table.search().select(["path", "file"]).to_arrow()
        return dict(zip(read["path"].to_pylist(), read["file"].to_pylist(), strict=True))

    def count(self, where: Where | None = None) -> int:
        return self.table.count_rows(None if where is None else sql(where))

    def nearest(
        self, column: Column, vector: np.ndarray, k: int, where: Where | None = None
    ) -> list[Found]:
        check_count(k)
        width = self._width("vectors")
        asked = check_query(column, vector, width, 1)
        if width is None:
            return []
        query = self.table.search(asked, vector_column_name=str(column)).distance_type("cosine")
        query = query.nprobes(self.tuning.probes).refine_factor(self.tuning.refine).limit(k)
        return _found(query, "_distance", where, lambda distance: 1.0 - distance)

    def matching(self, words: str, k: int, where: Where | None = None) -> list[Found]:
        check_count(k)
        asked = sorted(set(terms(words)))
        if not asked:
            return []
        query = self.table.search(" ".join(asked), query_type="fts", fts_columns="terms")
        if where is None or self._indexed("terms"):
            return _found(query.limit(k), "_score", where, float)
        # Without an index, only what the filter selects would be counted.
        found = _found(query.limit(self.count()), "_score", None, float)
        chosen = self.table.search().where(sql(where)).select(["id"]).to_arrow()
        ids = set(chosen["id"].to_pylist())
        return [pair for pair in found if pair[0] in ids][:k]

    def interacting(self, tokens: np.ndarray, k: int, where: Where | None = None) -> list[Found]:
        check_count(k)
        width = self._width("tokens")
        asked = check_query("tokens", tokens, width, 2)
        if width is None:
            return []
        return self._tokens.best(asked, k, None if where is None else sql(where))

    def maintain(self) -> None:
        from chiasm.retrieval.lance_indexes import build

        self._written(lambda: self.table.optimize(cleanup_older_than=OLD))
        for make in build(self.table, self.tuning.exact_below, self.tuning.interacting_below):
            self._written(make)

    def widen(self, widths: Widths) -> None:
        """Columns for vectors that the table has none for yet."""
        storage, pooling = self._wanted
        wanted = vector_fields(widths, storage or "float16", pooling or 1)

        def add() -> None:
            self.table.checkout_latest()
            new = [field for field in wanted if field.name not in self.table.schema.names]
            if new:
                self.table.add_columns(new)

        if any(field.name not in self.table.schema.names for field in wanted):
            self._written(add)

    def bytes_per_unit(self) -> dict[str, float]:
        """Of each column on the disk, compressed; indexes and old versions are not among them."""
        rows = self.table.count_rows()
        data = self.table.to_lance()
        sizes = {one.id: one.bytes_on_disk for one in data.stats.data_stats().fields}

        def size(field: Any) -> int:
            return sizes.get(field.id(), 0) + sum(map(size, field.children()))

        return {one.name(): size(one) / max(1, rows) for one in data.lance_schema.fields()}

    def close(self) -> None:
        self._settle()

    def _width(self, name: str) -> int | None:
        """A column's width never changes, so that it is looked up until there is one."""
        if getattr(self._widths, name) is None:
            self._widths = widths_of(self.table.schema)
        return getattr(self._widths, name)

    def _indexed(self, column: str) -> bool:
        return any(column in index.columns for index in self.table.list_indices())

    def _written(self, write: Callable[[], T]) -> T:
        """Write, again where another writer was first; on the disk when it returns."""
        random = Random()
        for attempt in count(1):
            try:
                found = write()
            except (RuntimeError, OSError, ValueError) as error:
                overtaken = any(word in str(error).lower() for word in OVERTAKEN)
                if attempt == ATTEMPTS or not overtaken:
                    raise ChiasmError(f"{self.table.uri}: not written: {_line(error)}") from error
                sleep(random.uniform(0, 0.05 * 2**attempt))
            else:
                self._settle()
                return found
        raise AssertionError("the last attempt returns or raises")

    def _settle(self) -> None:
        if self.durable is not None:
            self.durable.settle()


def _table(database: Any) -> Any:
    try:
        return database.open_table(TABLE)
    except ValueError as error:
        if "not found" not in str(error):
            raise
    try:
        return database.create_table(TABLE, schema=base_schema())
    except ValueError as error:
        if "already exists" not in str(error):
            raise
    return database.open_table(TABLE)  # Another process made it in between.


def _found(
    query: Any, column: str, where: Where | None, score: Callable[[float], float]
) -> list[Found]:
    if where is not None:
        query = query.where(sql(where), prefilter=True)
    read = query.select(["id", column]).to_arrow()
    values = read[column].to_pylist()
    return [(one, score(value)) for one, value in zip(read["id"].to_pylist(), values, strict=True)]


def _line(error: Exception) -> str:
    return str(error).splitlines()[0][:300] if str(error) else type(error).__name__

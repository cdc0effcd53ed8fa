"""Rows as a Lance table's columns.

Metadata is one JSON column, with the key `s:NAME` for words and `n:NAME` for numbers: Lance stores
it in binary and filters on any key without a change of schema, and the two sorts never mix. `terms`
is what full-text search reads. `record` is the whole unit, `shown` its picture: a plain binary
column, since pictures of pages are small beside what blob columns are for, and a search does not
read a column that it does not return. `tokens` is a document's vectors as `stored_tokens` writes
them, scored exactly; `near` a few of them, pooled, that candidates are searched by.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from chiasm.retrieval.fields import NUMBERS, fields_of
from chiasm.retrieval.pooled import pooled
from chiasm.retrieval.record import from_record, record
from chiasm.retrieval.rows import Widths
from chiasm.retrieval.store import Column, Row
from chiasm.retrieval.stored_tokens import STORAGES, from_bytes, to_bytes
from chiasm.retrieval.terms import unit_terms

if TYPE_CHECKING:
    import pyarrow as pa

FIELDS = ("id", "path", "file", "kind", "suffix", "title", "text")
NEAR_FACTOR = 4
"""Stored vectors a vector that candidates are searched by."""
STORAGE, POOLING = b"chiasm:storage", b"chiasm:pooling"


def base_schema() -> "pa.Schema":
    """Without vectors: their widths are known from the first row that has one."""
    import pyarrow as pa

    # The key makes concurrent writers of one id see each other.
    key = {"lance-schema:unenforced-primary-key": "true"}
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False, metadata=key),
            *(pa.field(name, pa.string()) for name in (*FIELDS[1:], "terms", "record")),
            # Pages too: Lance compares whole numbers with whole numbers only.
            *(pa.field(name, pa.float64()) for name in NUMBERS),
            pa.field("metadata", pa.json_()),
            pa.field("shown", pa.large_binary()),
        ]
    )


def vector_fields(widths: Widths, storage: str, pooling: int) -> list["pa.Field"]:
    """The columns of vectors of these widths."""
    import pyarrow as pa

    found: list[pa.Field] = []
    if widths.vectors is not None:
        kind = pa.list_(pa.float32(), widths.vectors)
        found += [pa.field(str(column), kind) for column in Column]
    if widths.tokens is not None:
        told = {STORAGE: storage.encode(), POOLING: str(pooling).encode()}
        found.append(pa.field("tokens", pa.large_binary(), metadata=told))
        near = pa.list_(pa.list_(pa.float16(), widths.tokens))
        found.append(pa.field("near", near))
    return found


def widths_of(schema: "pa.Schema") -> Widths:
    """What the table's columns are made for."""
    names = schema.names
    return Widths(
        schema.field(str(Column.WORDS)).type.list_size if Column.WORDS in names else None,
        schema.field("near").type.value_type.list_size if "near" in names else None,
    )


def token_settings(schema: "pa.Schema") -> tuple[str, int] | None:
    """How the table's tokens are stored, and pooled before that; None where it has none yet."""
    if "tokens" not in schema.names:
        return None
    told = schema.field("tokens").metadata
    return told[STORAGE].decode(), int(told[POOLING])


def to_arrow(rows: Sequence[Row], schema: "pa.Schema") -> "pa.Table":
    """As the table's columns want them; `schema` is the table's own."""
    import pyarrow as pa

    settings = token_settings(schema)
    names = (*FIELDS, *NUMBERS)
    fields = [fields_of(row.unit) for row in rows]
    columns: dict[str, pa.Array] = {}
    for field in schema:
        name = field.name
        if name in names:
            columns[name] = pa.array([one[name] for one in fields], field.type)
    columns["terms"] = pa.array([" ".join(unit_terms(row.unit)) for row in rows], pa.string())
    columns["record"] = pa.array([record(row.unit) for row in rows], pa.string())
    columns["metadata"] = pa.array([_metadata(row) for row in rows], pa.json_())
    columns["shown"] = pa.array([row.unit.picture for row in rows], pa.large_binary())
    for column in Column:
        if column in schema.names:
            vectors = [_vector(getattr(row, column)) for row in rows]
            columns[str(column)] = pa.array(vectors, schema.field(str(column)).type)
    if settings is not None:
        storage, factor = STORAGES[settings[0]], settings[1]
        kept = [None if row.tokens is None else pooled(row.tokens, factor) for row in rows]
        written = [None if one is None else to_bytes(storage, one) for one in kept]
        columns["tokens"] = pa.array(written, pa.large_binary())
        near = [None if one is None else list(_near(one)) for one in kept]
        columns["near"] = pa.array(near, schema.field("near").type)
    made = pa.schema([pa.field(one.name, columns[one.name].type, one.nullable) for one in schema])
    return pa.table([columns[name] for name in schema.names], schema=made)


def from_arrow(table: "pa.Table") -> list[Row]:
    """What `to_arrow` wrote; tokens come back as they were rounded and pooled."""
    settings, widths = token_settings(table.schema), widths_of(table.schema)
    found = []
    for one in table.to_pylist():
        tokens = one.get("tokens")
        if tokens is not None and settings is not None and widths.tokens is not None:
            tokens = from_bytes(STORAGES[settings[0]], tokens, widths.tokens).numpy()
        vectors = {str(column): _vector(one.get(str(column))) for column in Column}
        found.append(Row(unit=from_record(one["record"], one["shown"]), tokens=tokens, **vectors))
    return found


def _vector(vector: Sequence[float] | np.ndarray | None) -> np.ndarray | None:
    return None if vector is None else np.asarray(vector, np.float32)


def _near(kept: np.ndarray) -> np.ndarray:
    return pooled(kept, NEAR_FACTOR).astype(np.float16)


def _metadata(row: Row) -> str:
    told: dict[str, str | float] = {}
    for key, value in row.unit.metadata.items():
        if isinstance(value, str):
            told[f"s:{key}"] = value
        else:
            told[f"n:{key}"] = float(value)
    return json.dumps(told, ensure_ascii=False)

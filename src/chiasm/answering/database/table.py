"""The table of what pictures show, and plans executed over it by DuckDB."""

import importlib.util
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from chiasm.answering.database.plans import TABLE, Query
from chiasm.errors import Misuse
from chiasm.retrieval.unit import Unit

Row = tuple[str, str, str, str, int]
"""Unit, path, folder, thing, number."""


def row(unit: Unit, thing: str, number: int) -> Row:
    return unit.id, unit.path, str(PurePosixPath(unit.path).parent), thing, number


def executed(rows: Sequence[Sequence[Any]], query: Query) -> list[list[Any]]:
    """The rows that a query gives.

    Raises:
        Misuse: DuckDB is not installed.
    """
    if importlib.util.find_spec("duckdb") is None:
        raise Misuse("plans need DuckDB, which is not installed: pip install 'chiasm[search]'")
    import duckdb

    sql, values = query
    with duckdb.connect(":memory:", config={"enable_external_access": "false"}) as database:
        database.execute(
            f"CREATE TABLE {TABLE} "
            "(unit VARCHAR, path VARCHAR, folder VARCHAR, thing VARCHAR, number INTEGER)"
        )
        if rows:
            database.executemany(f"INSERT INTO {TABLE} VALUES (?, ?, ?, ?, ?)", list(rows))
        return [list(one) for one in database.execute(sql, list(values)).fetchall()]


def written_out(query: Query) -> str:
    """The SQL with its parameters in place, for people; it is not what is executed."""
    parts = query[0].split("?")
    values = [
        f"'{v.replace(chr(39), chr(39) * 2)}'" if isinstance(v, str) else str(v) for v in query[1]
    ]
    return "".join(part + value for part, value in zip(parts, [*values, ""], strict=True))

"""A table's first rows, made by many workers at once: Ray over machines, Lance's files, one commit.

Each worker turns shards (folders, lists of files) into rows and writes them as files of the table
itself; nothing is seen before the last one is done.
"""

import importlib.util
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from chiasm.errors import ChiasmError, Misuse
from chiasm.retrieval.lance import TABLE, Lance
from chiasm.retrieval.lance_rows import to_arrow
from chiasm.retrieval.rows import Widths
from chiasm.retrieval.store import Row

if TYPE_CHECKING:
    import pyarrow as pa

AT_ONCE = 512
"""Rows of one block of a worker's."""
FAILED = "no rows of shard"
Shard = TypeVar("Shard")


def build(
    location: str | Path,
    shards: Sequence[Shard],
    rows: Callable[[Shard], Iterable[Row]],
    widths: Widths,
    *,
    tokens: str | None = None,
    pooling: int | None = None,
    storage_options: Mapping[str, str] | None = None,
    workers: int | None = None,
) -> int:
    """Append the rows of every shard, all of them or none; how many they were.

    Ids must be new: rows are appended, not put in place of others. `rows` runs in the workers of
    the Ray cluster that this process is connected to, or of one on this machine; a folder must be
    one that all of them see. Run `maintain` afterwards.

    Raises:
        Misuse: lance-ray is not installed, no shard, or an id that is there twice; the table is
            then as it was.
        ChiasmError: a worker failed.
    """
    if importlib.util.find_spec("lance_ray") is None:
        raise Misuse("bulk building needs lance-ray, which is not installed: chiasm[scale]")
    if not shards:
        raise Misuse("no shard to make rows of; give at least 1")
    import ray
    from lance_ray import write_lance
    from ray.exceptions import RayError

    store = Lance.open(location, tokens=tokens, pooling=pooling, storage_options=storage_options)
    store.widen(widths)
    table = store.table
    before, had = table.version, table.count_rows()
    made = _Made(shards, rows, widths, table.schema)
    numbers = ray.data.range(len(shards), override_num_blocks=len(shards))
    data = numbers.map_batches(made.blocks, batch_size=1, concurrency=workers)
    try:
        write_lance(
            data,
            f"{str(location).rstrip('/')}/{TABLE}.lance",
            schema=table.schema,
            mode="append",
            storage_options=None if storage_options is None else dict(storage_options),
        )
    except RayError as error:
        # Ray wraps a worker's error in advice and traces; ours is a line of that.
        told = re.findall(f"{FAILED}.*", str(error)) or str(error).strip().splitlines()
        raise ChiasmError(f"{location}: nothing was written: {told[0]}") from error
    table.checkout_latest()
    _no_id_twice(table, before)
    store.close()
    return table.count_rows() - had


@dataclass(frozen=True)
class _Made:
    """What a worker is sent."""

    shards: Sequence[Any]
    rows: Callable[[Any], Iterable[Row]]
    widths: Widths
    schema: "pa.Schema"

    def blocks(self, batch: Any) -> Iterator["pa.Table"]:
        """Of the shards of these numbers."""
        for number in batch["id"]:
            try:
                yield from self._shard(self.shards[int(number)])
            except Exception as error:  # Whatever a caller's own function raises.
                raise ChiasmError(f"{FAILED} {number}: {error}") from error

    def _shard(self, shard: Any) -> Iterator["pa.Table"]:
        left = iter(self.rows(shard))
        while some := list(islice(left, AT_ONCE)):
            if self.widths.after(some) != self.widths:
                raise Misuse(f"it has vectors that {self.widths} does not tell of")
            yield to_arrow(some, self.schema)


def _no_id_twice(table: Any, before: int) -> None:
    counts = Counter(table.search().select(["id"]).to_arrow()["id"].to_pylist())
    twice = [one for one, count in counts.items() if count > 1]
    if not twice:
        return
    if table.version != before + 1:
        raise ChiasmError(f"unit {twice[0]!r} is there twice and others wrote since; delete it")
    table.restore(before)
    raise Misuse(f"unit {twice[0]!r} and {len(twice) - 1} others came twice; nothing was kept")

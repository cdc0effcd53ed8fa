"""What our store adds to LanceDB's own search for one vector a row: nothing that is felt.

100,000 unit vectors around topics, in one table with one index. `Lance.nearest` and the same query
made with LanceDB by hand (same table, same index, lists read, rows scored again, and freshness of
what is read) take turns, query by query; medians over queries and turns. Both give ids and
distances. Recall is of the ten rows that NumPy ranks first.

    python benchmarks/single_vectors.py
    python benchmarks/single_vectors.py --rows 6000 --queries 20 --out /tmp/s.json
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

import lancedb
import numpy as np
from recording import recorded
from waiting import asleep, thread_waiting

from chiasm.retrieval.lance import TABLE, Lance
from chiasm.retrieval.store import Column, Row
from chiasm.retrieval.unit import Kind, Unit

BASELINE = "LanceDB by hand"
OURS = "Lance.nearest"
K = 10
MOST = 1.3
"""Times the baseline's median that ours may take."""
AT_ONCE = 5000
Way = Callable[[np.ndarray], list[str]]


def main() -> int:
    """Measures, prints, writes; 1 if a requirement is missed."""
    options = _options()
    asleep()
    generator = np.random.default_rng(options.seed)
    topics = generator.normal(size=(options.topics, options.width))
    vectors = _around(topics, options.rows, generator)
    queries = _around(topics, options.queries, generator)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        start = time.perf_counter()
        store = Lance.open(folder)
        for first in range(0, len(vectors), AT_ONCE):
            store.put([_row(first + at, one) for at, one in enumerate(vectors[first:][:AT_ONCE])])
        put = time.perf_counter() - start
        store.maintain()
        built = time.perf_counter() - start - put
        files = [one for one in Path(folder).rglob("*") if one.is_file()]
        disk = sum(one.stat().st_size for one in files) / 1e6
        ways = {BASELINE: _direct(folder, store), OURS: _ours(store)}
        rows = _measured(ways, vectors, queries, options.repeats)
        store.close()
    base, ours = (next(row for row in rows if row["name"] == name) for name in (BASELINE, OURS))
    ratio = ours["seconds"] / base["seconds"]
    for row in rows:
        print(f"{row['name']:<20}{1e3 * row['seconds']:>9.2f} ms   recall@10 {row['recall']:.4f}")
    print(f"ours takes {ratio:.3f} times as long; put {put:.0f} s, indexed {built:.0f} s")
    told = ("rows", "width", "queries", "topics", "repeats")
    found = {
        "seed": options.seed,
        "thread_waiting": thread_waiting(),
        "setting": {name: getattr(options, name) for name in told},
        "metric": "median seconds a query",
        "baseline": BASELINE,
        "rows": rows,
        "ratio": ratio,
        "put_seconds": put,
        "index_seconds": built,
        "disk_megabytes": disk,
        "required": f"at most {MOST} times the baseline's time, the same rows found",
        "holds": ratio <= MOST and ours["recall"] == base["recall"],
    }
    recorded(__file__, options.out, found)
    return 0 if found["holds"] else 1


def _around(topics: np.ndarray, count: int, generator: np.random.Generator) -> np.ndarray:
    picked = topics[generator.integers(len(topics), size=count)]
    found = (picked + generator.normal(size=picked.shape)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def _row(at: int, vector: np.ndarray) -> Row:
    unit = Unit(id=str(at), path=f"{at // 10}.txt", file="0" * 64, kind=Kind.TEXT, text=f"row {at}")
    return Row(unit=unit, words=vector)


def _ours(store: Lance) -> Way:
    return lambda query: [one for one, _ in store.nearest(Column.WORDS, query, K)]


def _direct(folder: str, store: Lance) -> Way:
    database = lancedb.connect(folder, read_consistency_interval=timedelta(0))
    table, tuning = database.open_table(TABLE), store.tuning

    def search(query: np.ndarray) -> list[str]:
        asked = table.search(query, vector_column_name="words").distance_type("cosine")
        asked = asked.nprobes(tuning.probes).refine_factor(tuning.refine).limit(K)
        found = asked.select(["id", "_distance"]).to_arrow()
        return found["id"].to_pylist()

    return search


def _measured(
    ways: dict[str, Way], vectors: np.ndarray, queries: np.ndarray, repeats: int
) -> list[dict[str, Any]]:
    taken: dict[str, list[float]] = {name: [] for name in ways}
    right = dict.fromkeys(ways, 0)
    for turn in range(1 + repeats):
        for number, query in enumerate(queries):
            # Whoever comes second finds the pages that the first one read.
            order = list(ways.items())[:: 1 if (turn + number) % 2 else -1]
            for name, way in order:
                start = time.perf_counter()
                found = way(query)
                if turn:
                    taken[name].append(time.perf_counter() - start)
                else:
                    best = np.argpartition(-(vectors @ query), K)[:K]
                    right[name] += len({int(one) for one in found} & set(best.tolist()))
    return [
        {"name": name, "seconds": median(taken[name]), "recall": right[name] / len(queries) / K}
        for name in ways
    ]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--queries", type=int, default=100)
    parser.add_argument("--topics", type=int, default=3000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where the table is written, for a while")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

"""Engines that search many vectors a document, as candidates for our exact scores.

LanceDB's multivector index (IVF, RaBitQ codes) over every vector; our store over the same engine,
whose index holds pooled vectors; faiss's inverted lists of 8-bit vectors, where it is installed.
"""

import importlib.util
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from chiasm.retrieval import Tokens, maxsim_all
from chiasm.retrieval.lance import Lance, Tuning
from chiasm.retrieval.store import Row
from chiasm.retrieval.unit import Kind, Unit

Way = Callable[[torch.Tensor], list[int]]
PUT_AT_ONCE = 500


@dataclass(frozen=True)
class Engine:
    """What an engine took to build, and its searches by setting."""

    name: str
    build_seconds: float
    disk_megabytes: float
    """Of its files, vectors and all; 0 for one that has none."""
    memory_megabytes: float
    """By how much the process's peak grew while it was built."""
    ways: dict[str, Way] = field(repr=False)

    def told(self) -> dict[str, float | str]:
        """What a result keeps of it."""
        return {
            "name": self.name,
            "build_seconds": self.build_seconds,
            "disk_megabytes": self.disk_megabytes,
            "memory_megabytes": self.memory_megabytes,
        }


def engines(documents: list[torch.Tensor], packed: Tokens, folder: Path) -> list[Engine]:
    """Every engine that is installed, built over the documents."""
    found = [
        _built("LanceDB", folder / "direct", lambda at: _lancedb(documents, packed, at)),
        _built("our Lance store", folder / "store", lambda at: _store(documents, at)),
    ]
    if importlib.util.find_spec("faiss"):
        made = _built("faiss", folder / "faiss", lambda at: _faiss(documents, packed))
        found.append(made)
    return found


def _built(name: str, folder: Path, build: Callable[[Path], dict[str, Way]]) -> Engine:
    before, start = _peak(), time.perf_counter()
    ways = build(folder)
    took = time.perf_counter() - start
    disk = sum(one.stat().st_size for one in folder.rglob("*") if one.is_file()) / 1e6
    return Engine(name, took, disk, _peak() - before, ways)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def _scored(query: torch.Tensor, packed: Tokens, near: torch.Tensor) -> list[int]:
    best = maxsim_all([query], packed, near)[0].topk(min(10, len(near)))
    return near[best.indices].tolist()


def _lancedb(documents: list[torch.Tensor], packed: Tokens, folder: Path) -> dict[str, Way]:
    import lancedb
    from lancedb.index import IvfRq

    width = packed.width
    flat = pa.array(torch.cat(documents).half().numpy().ravel())
    ends = np.cumsum([0, *(len(one) for one in documents)]).astype(np.int32)
    many = pa.ListArray.from_arrays(pa.array(ends), pa.FixedSizeListArray.from_arrays(flat, width))
    rows = pa.table({"id": pa.array(range(len(documents)), pa.int64()), "tokens": many})
    table = lancedb.connect(str(folder)).create_table("documents", rows)
    table.create_index("tokens", config=IvfRq(distance_type="cosine"))

    def way(count: int, probes: int) -> Way:
        def search(query: torch.Tensor) -> list[int]:
            asked = table.search(query.numpy(), vector_column_name="tokens")
            asked = asked.distance_type("cosine").nprobes(probes).limit(count)
            ids = asked.select(["id", "_distance"]).to_arrow()["id"].to_numpy()
            return _scored(query, packed, torch.from_numpy(ids.copy()))

        return search

    settings = ((100, 20), (300, 20), (300, 32), (500, 64))
    return {f"{probes} lists, {count} scored": way(count, probes) for count, probes in settings}


def _store(documents: list[torch.Tensor], folder: Path) -> dict[str, Way]:
    def unit(at: int) -> Unit:
        return Unit(id=str(at), path=f"{at}.txt", file="0" * 64, kind=Kind.TEXT)

    store = Lance.open(folder, tuning=Tuning(interacting_below=1))
    for start in range(0, len(documents), PUT_AT_ONCE):
        some = documents[start : start + PUT_AT_ONCE]
        store.put([Row(unit=unit(start + at), tokens=one.numpy()) for at, one in enumerate(some)])
    store.maintain()

    def search(query: torch.Tensor) -> list[int]:
        return [int(one) for one, _ in store.interacting(query.numpy(), 10)]

    return {f"vectors from the disk, {store.tuning.candidates} scored": search}


def _faiss(documents: list[torch.Tensor], packed: Tokens) -> dict[str, Way]:
    import faiss

    faiss.omp_set_num_threads(torch.get_num_threads())
    vectors = torch.cat(documents).numpy()
    owner = torch.repeat_interleave(torch.arange(len(documents)), packed.lengths)
    lists = int(4 * len(vectors) ** 0.5)
    quantizer = faiss.IndexFlatIP(packed.width)
    index = faiss.IndexIVFScalarQuantizer(
        quantizer,
        packed.width,
        lists,
        faiss.ScalarQuantizer.QT_8bit,
        faiss.METRIC_INNER_PRODUCT,
    )
    index.cp.niter = 4
    index.cp.max_points_per_centroid = 40
    index.train(vectors)
    index.add(vectors)

    def way(count: int, probes: int, each: int) -> Way:
        parameters = faiss.SearchParametersIVF(nprobe=probes)

        def search(query: torch.Tensor) -> list[int]:
            scores, rows = index.search(query.numpy(), each, params=parameters)
            values, numbers = torch.from_numpy(scores), torch.from_numpy(rows)
            found = numbers >= 0
            worst = values.masked_fill(~found, torch.inf).amin(1, keepdim=True)
            # What a vector of the query has not found counts as the worst that it has.
            gain = torch.zeros(len(query), len(documents))
            owners = owner[numbers.clamp(min=0)]
            gain.scatter_reduce_(1, owners, (values - worst).where(found, 0), "amax")
            near = gain.sum(0).topk(min(count, len(documents))).indices
            return _scored(query, packed, near)

        return search

    settings = ((100, 8, 200), (150, 8, 200), (200, 8, 200), (300, 8, 400), (300, 16, 400))
    return {
        f"{probes} lists, {each} vectors, {count} scored": way(count, probes, each)
        for count, probes, each in settings
    }

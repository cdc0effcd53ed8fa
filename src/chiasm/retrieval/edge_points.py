"""Points in this process, in a folder: Qdrant Edge.

A folder is open in one process at a time. Many vectors are compared without a graph, which would
take hours to build over every token.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from chiasm.errors import ChiasmError
from chiasm.retrieval.points import TERMS, TOKENS, Asked, Point, Sparse, without_terms
from chiasm.retrieval.qdrant_filter import Filter

PAGE = 1000


class EdgePoints:
    """`Points` of a folder."""

    def __init__(self, folder: Path) -> None:
        import qdrant_edge

        self.edge: Any = qdrant_edge
        self.folder = folder
        made = (folder / "edge_config.json").exists()
        try:
            if made:
                self.shard = self._load()
            else:
                folder.mkdir(parents=True, exist_ok=True)
                self.shard = qdrant_edge.EdgeShard.create(str(folder), self._config())
        except Exception as error:  # Edge raises nothing narrower.
            told = str(error).splitlines()[0]
            busy = " (another process has it open)" if "WouldBlock" in told else ""
            raise ChiasmError(f"{folder} cannot be opened{busy}: {told}") from error

    def widths(self) -> Mapping[str, int]:
        found = json.loads((self.folder / "edge_config.json").read_text(encoding="utf-8"))
        return {name: one["size"] for name, one in found.get("vectors", {}).items()}

    def widen(self, name: str, width: int) -> None:
        edge = self.edge
        many = edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim)
        told = (many, edge.VectorStorageDatatype.Float16) if name == TOKENS else ()
        self.shard.update(
            edge.UpdateOperation.create_dense_vector(name, width, edge.Distance.Cosine, *told)
        )
        # Only a shard that is loaded can be told to build no graph.
        self.close()
        self.shard = self._load()

    def upsert(self, points: Sequence[Point]) -> None:
        edge = self.edge
        made = [
            edge.Point(
                one.id,
                {name: self._vector(of) for name, of in one.vectors.items()},
                dict(one.payload),
            )
            for one in points
        ]
        self.shard.update(edge.UpdateOperation.upsert_points(made))
        self.shard.flush()

    def delete(self, ids: Sequence[str]) -> None:
        self.shard.update(self.edge.UpdateOperation.delete_points(list(ids)))
        self.shard.flush()

    def count(self, where: Filter | None) -> int:
        return self.shard.count(self.edge.CountRequest(exact=True, filter=self._filter(where)))

    def get(self, ids: Sequence[str], keys: Sequence[str]) -> list[Mapping[str, Any]]:
        found = self.shard.retrieve(list(ids), with_payload=list(keys), with_vector=False)
        return [one.payload or {} for one in found]

    def dense(self, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        found = self.shard.retrieve(list(ids), with_payload=False, with_vector=True)
        return {str(one.id): without_terms(one.vector) for one in found}

    def scroll(
        self, where: Filter | None, keys: Sequence[str]
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        told, offset = self._filter(where), None
        while True:
            request = self.edge.ScrollRequest(
                offset=offset, limit=PAGE, filter=told, with_payload=list(keys), with_vector=False
            )
            found, offset = self.shard.scroll(request)
            for one in found:
                yield str(one.id), one.payload or {}
            if offset is None:
                return

    def best(
        self, name: str, asked: Asked, k: int, where: Filter | None
    ) -> list[tuple[str, float]]:
        request = self.edge.QueryRequest(
            limit=k,
            query=self.edge.Query.Nearest(self._vector(asked), using=name),
            filter=self._filter(where),
            with_payload=["id"],
        )
        return [((one.payload or {})["id"], one.score) for one in self.shard.query(request)]

    def optimise(self) -> None:
        self.shard.optimize()
        self.shard.flush()

    def close(self) -> None:
        self.shard.flush()
        self.shard.close()

    def _load(self) -> Any:
        return self.edge.EdgeShard.load(str(self.folder), self._config())

    def _config(self) -> Any:
        edge = self.edge
        vectors = {}
        made = (self.folder / "edge_config.json").exists()
        for name, width in (self.widths() if made else {}).items():
            many = {}
            if name == TOKENS:
                many = {
                    "multivector_config": edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim),
                    "datatype": edge.VectorStorageDatatype.Float16,
                    "hnsw_config": edge.HnswIndexConfig(
                        m=0, ef_construct=16, full_scan_threshold=PAGE
                    ),
                }
            vectors[name] = edge.EdgeVectorParams(width, edge.Distance.Cosine, **many)
        terms = {TERMS: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)}
        return edge.EdgeConfig(vectors=vectors or None, sparse_vectors=terms)

    def _vector(self, of: Asked) -> Any:
        if isinstance(of, Sparse):
            return self.edge.SparseVector(of.indices, of.values)
        return of

    def _filter(self, where: Filter | None) -> Any:
        if where is None:
            return None
        edge = self.edge
        if "has_id" in where:
            return edge.Filter(must=[edge.HasIdCondition(set(where["has_id"]))])
        if "key" not in where:
            parts = {word: [self._condition(one) for one in own] for word, own in where.items()}
            return edge.Filter(**parts)
        return edge.Filter(must=[self._condition(where)])

    def _condition(self, one: Filter) -> Any:
        edge = self.edge
        if "range" in one:
            return edge.FieldCondition(one["key"], range=edge.RangeFloat(**one["range"]))
        if "match" not in one:
            return self._filter(one)
        told = one["match"]
        match = edge.MatchAny(told["any"]) if "any" in told else edge.MatchValue(told["value"])
        return edge.FieldCondition(one["key"], match=match)

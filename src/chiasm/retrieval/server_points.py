"""Points of a Qdrant server or cluster, through its client."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chiasm.errors import ChiasmError
from chiasm.retrieval.points import TERMS, TOKENS, Asked, Point, Sparse, without_terms
from chiasm.retrieval.qdrant_filter import Filter

PAGE = 1000


class ServerPoints:
    """`Points` of one collection; `client` is a `QdrantClient`."""

    def __init__(self, client: Any, collection: str) -> None:
        from qdrant_client import models

        self.client, self.collection, self.models = client, collection, models
        terms = {TERMS: models.SparseVectorParams(modifier=models.Modifier.IDF)}
        try:
            if not client.collection_exists(collection):
                client.create_collection(collection, vectors_config={}, sparse_vectors_config=terms)
        except Exception as error:  # Of whatever carries the requests.
            told = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ChiasmError(f"collection {collection!r} cannot be opened: {told}") from error

    def widths(self) -> Mapping[str, int]:
        found = self.client.get_collection(self.collection).config.params.vectors
        return {name: one.size for name, one in (found or {}).items()}

    def widen(self, name: str, width: int) -> None:
        models = self.models
        told = {}
        if name == TOKENS:
            told = {
                "multivector_config": models.MultiVectorConfig(
                    comparator=models.MultiVectorComparator.MAX_SIM
                ),
                "datatype": models.Datatype.FLOAT16,
            }
        config = models.DenseVectorConfig(size=width, distance=models.Distance.COSINE, **told)
        self.client.create_vector_name(
            self.collection, name, models.DenseVectorNameConfig(dense=config)
        )
        if name == TOKENS:
            no_graph = models.VectorParamsDiff(hnsw_config=models.HnswConfigDiff(m=0))
            self.client.update_collection(self.collection, vectors_config={name: no_graph})

    def upsert(self, points: Sequence[Point]) -> None:
        made = [
            self.models.PointStruct(
                id=one.id,
                vector={name: self._vector(of) for name, of in one.vectors.items()},
                payload=dict(one.payload),
            )
            for one in points
        ]
        self.client.upsert(self.collection, made, wait=True)

    def delete(self, ids: Sequence[str]) -> None:
        self.client.delete(self.collection, self.models.PointIdsList(points=list(ids)), wait=True)

    def count(self, where: Filter | None) -> int:
        told = self._filter(where)
        return self.client.count(self.collection, count_filter=told, exact=True).count

    def get(self, ids: Sequence[str], keys: Sequence[str]) -> list[Mapping[str, Any]]:
        found = self.client.retrieve(self.collection, list(ids), with_payload=list(keys))
        return [one.payload or {} for one in found]

    def dense(self, ids: Sequence[str]) -> dict[str, Mapping[str, Any]]:
        found = self.client.retrieve(
            self.collection, list(ids), with_payload=False, with_vectors=True
        )
        return {str(one.id): without_terms(one.vector) for one in found}

    def scroll(
        self, where: Filter | None, keys: Sequence[str]
    ) -> Iterator[tuple[str, Mapping[str, Any]]]:
        told, offset = self._filter(where), None
        while True:
            found, offset = self.client.scroll(
                self.collection,
                scroll_filter=told,
                limit=PAGE,
                offset=offset,
                with_payload=list(keys),
            )
            for one in found:
                yield str(one.id), one.payload or {}
            if offset is None:
                return

    def best(
        self, name: str, asked: Asked, k: int, where: Filter | None
    ) -> list[tuple[str, float]]:
        found = self.client.query_points(
            self.collection,
            query=self._vector(asked),
            using=name,
            limit=k,
            query_filter=self._filter(where),
            with_payload=["id"],
        )
        return [((one.payload or {})["id"], one.score) for one in found.points]

    def optimise(self) -> None:
        """A server does so by itself."""

    def close(self) -> None:
        self.client.close()

    def _vector(self, of: Asked) -> Any:
        if isinstance(of, Sparse):
            return self.models.SparseVector(indices=of.indices, values=of.values)
        return of

    def _filter(self, where: Filter | None) -> Any:
        if where is None:
            return None
        whole = where if {"must", "should", "must_not"} & where.keys() else {"must": [where]}
        return self.models.Filter.model_validate(whole)

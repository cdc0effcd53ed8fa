"""A query's answer: what vectors, words and tokens rank, made one list by reciprocal ranks."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from chiasm.errors import Misuse
from chiasm.library.function_words import telling
from chiasm.library.reranking.reranker import Reranker, first_reranked
from chiasm.library.vectors import Vectors
from chiasm.retrieval.embedder import Role
from chiasm.retrieval.query import Query
from chiasm.retrieval.reciprocal import reciprocal
from chiasm.retrieval.store import Column, Found, Store
from chiasm.retrieval.unit import Hit

DEEP = 100
"""Places of each ranking that are joined, at least."""
FLAT = 3
"""Of reciprocal ranks. With the usual 60 a middling place in two lists outweighs the first place in
one, and a picture without words stands in one only (`benchmarks/bare_pictures.py`).
"""
_NOTHING = 1e-6
"""Length of a sum below which its direction is rounding."""


def search(
    store: Store, vectors: Vectors, query: Query, reranker: Reranker | None, rerank: int
) -> list[Hit]:
    """As `Library.search`; units that the query names as examples are not found."""
    wanted = max(query.k, rerank) if reranker is not None else query.k
    deep = max(DEEP, 2 * wanted) + len(query.like)
    ranked = rankings(store, vectors, query, deep)
    examples = {one for one, _ in query.like}
    lists = {
        name: [pair for pair in found if pair[0] not in examples] for name, found in ranked.items()
    }
    fused = reciprocal([[one for one, _ in found] for found in lists.values()], k=FLAT)
    told = {name: dict(found) for name, found in lists.items()}
    chosen = fused[:wanted]
    units = {unit.id: unit for unit in store.units([one for one, _ in chosen])}
    hits = [
        Hit(
            unit=units[one],
            score=score,
            stage="fused",
            scores={name: found[one] for name, found in told.items() if one in found},
        )
        for one, score in chosen
        if one in units
    ]
    return hits[: query.k] if reranker is None else first_reranked(reranker, query, hits, rerank)


def rankings(store: Store, vectors: Vectors, query: Query, deep: int) -> dict[str, list[Found]]:
    """The best of each sort: by the vectors of words and of pictures or by tokens, and by BM25."""
    found: dict[str, list[Found]] = {}
    if vectors.many:
        found["tokens"] = store.interacting(_tokens(vectors, query), deep, query.where)
    else:
        asked = composed(store, vectors, query)
        found["words"] = store.nearest(Column.WORDS, asked, deep, query.where)
        if vectors.looks:
            found["picture"] = store.nearest(Column.PICTURE, asked, deep, query.where)
    if query.words:
        found["bm25"] = store.matching(telling(query.words), deep, query.where)
    return found


def composed(store: Store, vectors: Vectors, query: Query) -> np.ndarray:
    """q = sum_i w_i v_i / |sum_i w_i v_i| over the parts and the examples, all of unit length.

    An example's v is the sum of its vectors of words and picture, again of unit length.

    Raises:
        Misuse: an unknown example, or parts that cancel out.
    """
    items = [part.item for part in query.parts]
    parts = vectors.embed(items, Role.QUERY, instruction=query.instruction)
    weights = [part.weight for part in query.parts]
    if query.like:
        parts += _examples(store, vectors, [one for one, _ in query.like])
        weights += [weight for _, weight in query.like]
    whole = np.sum([w * part for w, part in zip(weights, parts, strict=True)], axis=0)
    length = float(np.linalg.norm(whole))
    if not length > _NOTHING * sum(map(abs, weights)):
        raise Misuse("the parts of the query cancel out; take one away or change a weight")
    return (whole / length).astype(np.float32)


def _examples(store: Store, vectors: Vectors, ids: Sequence[str]) -> list[np.ndarray]:
    units = {unit.id: unit for unit in store.units(ids)}
    for one in ids:
        if one not in units:
            raise Misuse(f"no unit has the id {one!r}; take one from a search with --json")
    rows = vectors.rows([replace(units[one]) for one in ids])
    found = []
    for row in rows:
        both = np.sum([one for one in (row.words, row.picture) if one is not None], axis=0)
        found.append(both / max(float(np.linalg.norm(both)), _NOTHING))
    return found


def _tokens(vectors: Vectors, query: Query) -> np.ndarray:
    """Late interaction compares the tokens of one item: there is nothing to add up."""
    if len(query.parts) != 1 or query.like:
        raise Misuse(
            "an embedder of many vectors takes one part, words or a picture; leave out the others"
        )
    [part] = query.parts
    return vectors.embed([part.item], Role.QUERY, instruction=query.instruction)[0]

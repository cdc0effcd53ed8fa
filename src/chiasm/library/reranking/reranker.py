"""The one verb of rerankers."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

from chiasm.errors import Misuse
from chiasm.retrieval.query import Query
from chiasm.retrieval.unit import Hit, Unit


class Reranker(Protocol):
    def rerank(self, query: Query, hits: Sequence[Hit]) -> list[Hit]:
        """The same hits in a better order, with their new scores and `stage`."""
        ...


def reordered(
    hits: Sequence[Hit], scores: Sequence[float], *, stage: str, weight: float | None = None
) -> list[Hit]:
    """Best first by `scores`; with a weight, by the hit's own score + weight × score.

    Hits of equal scores keep their order.
    """
    pairs = zip(hits, scores, strict=True)
    new = [
        replace(
            hit,
            score=score if weight is None else hit.score + weight * score,
            stage=stage,
            scores={**hit.scores, stage: score},
        )
        for hit, score in pairs
    ]
    return sorted(new, key=lambda hit: -hit.score)


def first_reranked(reranker: Reranker, query: Query, hits: Sequence[Hit], count: int) -> list[Hit]:
    """The query's k of the hits, the first `count` in the reranker's order before the others."""
    return [*reranker.rerank(query, hits[:count]), *hits[count:]][: query.k]


def asked(query: Query) -> str:
    """The words of a query, which is all that rerankers read of it.

    Raises:
        Misuse: it has none.
    """
    if not query.words:
        raise Misuse("rerankers compare words with what was found; add words to the query")
    return query.words


def told(unit: Unit, most: int = 2_000) -> str:
    """A unit's title and text, as rerankers read them."""
    return "\n".join(filter(None, (unit.title, unit.text)))[:most]

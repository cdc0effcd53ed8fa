"""A model that answers questions judges each hit by itself (LamRA, arXiv 2412.01720)."""

from collections.abc import Sequence
from dataclasses import dataclass

from chiasm.library.reranking.judge import Judge
from chiasm.library.reranking.reranker import asked, reordered, told
from chiasm.retrieval.query import Query
from chiasm.retrieval.unit import Hit

STAGE = "pointwise"
YES, NO = ("Yes", "yes"), ("No", "no")
_CHARACTERS = 1_000


@dataclass(frozen=True, kw_only=True)
class Pointwise:
    """score = the hit's own + weight × P(yes) / (P(yes) + P(no))."""

    judge: Judge
    weight: float = 1.0
    """0 keeps the order."""

    def rerank(self, query: Query, hits: Sequence[Hit]) -> list[Hit]:
        words = asked(query)
        scores = [
            float(self.judge.chances(_question(words, hit), [hit.unit], (YES, NO))[0])
            for hit in hits
        ]
        return reordered(hits, scores, stage=STAGE, weight=self.weight)


def _question(words: str, hit: Hit) -> str:
    return (
        "I will provide you with a query and a candidate. Please evaluate whether the candidate "
        "meets the requirements of the query. If it does, respond with 'Yes'; if it doesn't, "
        f"respond with 'No'.\nQuery: {words}\nCandidate: {told(hit.unit, _CHARACTERS)}"
    )

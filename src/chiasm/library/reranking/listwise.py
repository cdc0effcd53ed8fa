"""A model that answers questions compares a few hits at a time (LamRA, arXiv 2412.01720)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from chiasm.library.reranking.judge import Judge
from chiasm.library.reranking.reranker import asked, told
from chiasm.retrieval.query import Query
from chiasm.retrieval.unit import Hit

STAGE = "listwise"
WINDOW = 5
"""Hits compared at once: the paper's."""
_CHARACTERS = 400


@dataclass(frozen=True, kw_only=True)
class Listwise:
    """Windows of `WINDOW` hits from the last to the first, each put in the order of the chances
    that the model gives their numbers; the best of a window meets the next ones.
    """

    judge: Judge

    def rerank(self, query: Query, hits: Sequence[Hit]) -> list[Hit]:
        words = asked(query)
        order = list(hits)
        start = max(0, len(order) - WINDOW)
        while len(order) > 1:
            window = order[start : start + WINDOW]
            order[start : start + WINDOW] = self._ordered(words, window)
            if start == 0:
                break
            start = max(0, start - WINDOW + 1)
        # Places are all that comparisons give; 1 / place keeps higher better.
        return [
            replace(hit, score=1.0 / place, stage=STAGE, scores={**hit.scores, STAGE: 1.0 / place})
            for place, hit in enumerate(order, start=1)
        ]

    def _ordered(self, words: str, window: Sequence[Hit]) -> list[Hit]:
        answers = [(str(number),) for number in range(1, len(window) + 1)]
        chances = self.judge.chances(
            _question(words, window), [hit.unit for hit in window], answers
        )
        places = sorted(range(len(window)), key=lambda at: -float(chances[at]))
        return [window[at] for at in places]


def _question(words: str, window: Sequence[Hit]) -> str:
    listed = "\n".join(
        f"({number}) {told(hit.unit, _CHARACTERS)}" for number, hit in enumerate(window, start=1)
    )
    return (
        "I will provide you with a query followed by several candidates in the format: "
        "'(1) cand1 (2) cand2'. Each candidate is independent of the others. Evaluate each "
        "candidate against the query, and respond with the number of the candidate that best "
        f"matches the requirements of the query.\nQuery: {words}\nCandidates:\n{listed}\n"
        "Answer with the number only."
    )

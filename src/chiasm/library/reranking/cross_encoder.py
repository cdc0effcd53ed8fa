"""Cross-encoders: one pass over query and candidate together, one number (monoBERT, 1910.14424)."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chiasm.errors import Misuse
from chiasm.library.reranking.reranker import asked, reordered, told
from chiasm.retrieval.query import Query
from chiasm.retrieval.unit import Hit

STAGE = "cross-encoder"


@dataclass(frozen=True)
class CrossEncoder:
    """A `CrossEncoder` of sentence-transformers; the order is its scores' alone."""

    model: Any

    @classmethod
    def open(cls, folder: Path) -> "CrossEncoder":
        if importlib.util.find_spec("sentence_transformers") is None:
            raise Misuse(
                "cross-encoders need sentence-transformers, which is not installed: "
                "pip install 'chiasm[search]'"
            )
        from sentence_transformers import CrossEncoder as Theirs

        return cls(Theirs(str(folder), device="cpu", local_files_only=True))

    def rerank(self, query: Query, hits: Sequence[Hit]) -> list[Hit]:
        if not hits:
            return []
        words = asked(query)
        pairs = [(words, told(hit.unit)) for hit in hits]
        scores = self.model.predict(pairs, show_progress_bar=False)
        return reordered(hits, [float(one) for one in scores], stage=STAGE)

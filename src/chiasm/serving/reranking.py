"""The reranker of a server, under the name by which clients ask for it."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL.Image import Image

from chiasm.library.reranking.reranker import Reranker
from chiasm.retrieval.embedder import Item
from chiasm.retrieval.query import Part, Query
from chiasm.retrieval.unit import Hit, Kind, Unit
from chiasm.serving.refusal import Refused


@dataclass(frozen=True)
class Reranks:
    name: str
    reranker: Reranker

    def scores(self, query: Item, documents: Sequence[Item], instruction: str = "") -> list[float]:
        """What the reranker thinks of each document, in the documents' order.

        Raises:
            Refused: an instruction, or a query without words: rerankers read words.
        """
        if instruction:
            raise Refused(400, f"{self.name} takes no instruction", field="instruction")
        if not query.text.strip():
            raise Refused(400, f"{self.name} compares words; add words to the query", field="query")
        hits = [
            Hit(unit=_unit(str(at), one), score=0.0, stage="given")
            for at, one in enumerate(documents)
        ]
        found = self.reranker.rerank(Query(parts=(Part(item=query),), k=len(hits)), hits)
        scores = {hit.unit.id: hit.score for hit in found}
        return [scores[hit.unit.id] for hit in hits]


def _unit(name: str, of: Item) -> Unit:
    kind = Kind.TEXT if of.image is None else Kind.IMAGE
    picture = None if of.image is None else _encoded(of.image)
    return Unit(id=name, path=name, file=name, kind=kind, text=of.text, picture=picture)


def _encoded(image: Image) -> bytes:
    kept = io.BytesIO()
    image.save(kept, "PNG")
    return kept.getvalue()

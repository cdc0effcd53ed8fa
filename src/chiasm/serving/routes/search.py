"""`/search`: a composed query, and the units that fit it."""

from dataclasses import replace

from fastapi import APIRouter

from chiasm.library.reranking.reranker import first_reranked
from chiasm.retrieval.unit import Hit
from chiasm.serving.composing import composed
from chiasm.serving.refusal import STATUSES
from chiasm.serving.services import Services
from chiasm.serving.wire.search import Found, SearchRequest, SearchResponse, place_of


def router(services: Services) -> APIRouter:
    out = APIRouter(responses=STATUSES)

    @out.post("/search")
    async def search(asked: SearchRequest) -> SearchResponse:
        """The units that fit words, a picture, fewer of other words, and more like some units."""
        library = services.answering().library
        seen = await services.media.pictures([] if asked.image is None else [asked.image])
        query = composed(
            text=asked.text,
            image=seen[0].image if seen else None,
            minus=asked.minus,
            like=asked.like,
            weights=asked.weights,
            where=asked.where,
            k=asked.k,
            instruction=asked.instruction,
        )
        reranks = services.reranking() if asked.rerank else None

        def found() -> list[Hit]:
            if reranks is None:
                return library.search(query)
            hits = library.search(replace(query, k=max(query.k, asked.rerank)))
            return first_reranked(reranks.reranker, query, hits, asked.rerank)

        hits = await services.worker.run(found)
        return SearchResponse(
            hits=[
                Found(
                    **place_of(hit.unit), score=hit.score, stage=hit.stage, scores=dict(hit.scores)
                )
                for hit in hits
            ],
            notes=[note for one in seen for note in one.notes],
        )

    return out

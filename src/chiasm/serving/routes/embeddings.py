"""`/v1/embeddings`, `/rerank` and `/score`."""

import uuid
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter

from chiasm.retrieval.embedder import Item, Role
from chiasm.serving.embedding import written
from chiasm.serving.media import MediaReader
from chiasm.serving.refusal import STATUSES, Refused
from chiasm.serving.services import Services
from chiasm.serving.wire.chat import ImagePart, TextPart
from chiasm.serving.wire.embeddings import (
    Document,
    EmbeddingEntry,
    EmbeddingsRequest,
    EmbeddingsResponse,
    EmbeddingUsage,
    Ranked,
    RerankRequest,
    RerankResponse,
    Score,
    ScoreRequest,
    ScoreResponse,
    Shown,
)


def router(services: Services) -> APIRouter:
    out = APIRouter(responses=STATUSES)

    @out.post("/v1/embeddings")
    async def embeddings(asked: EmbeddingsRequest) -> EmbeddingsResponse:
        """Vectors of texts, or of one message of pictures and words."""
        embeds = services.embeds_named(asked.model)
        if asked.messages is not None:
            items = [await _shown(asked.messages, services.media)]
        else:
            items = [Item(text=text) for text in _texts(asked.input)]
        role = Role(asked.input_type)
        vectors = await services.worker.run(
            lambda: embeds.vectors(items, role, asked.instruction, asked.dimensions)
        )
        count = embeds.tokens([item.text for item in items])
        services.metrics.tokens.labels("embedded").inc(count or 0)
        rows = written(vectors, asked.encoding_format)
        return EmbeddingsResponse(
            data=[EmbeddingEntry(index=at, embedding=row) for at, row in enumerate(rows)],
            model=embeds.name,
            usage=EmbeddingUsage(prompt_tokens=count or 0, total_tokens=count or 0),
        )

    @out.post("/rerank")
    @out.post("/v1/rerank", include_in_schema=False)
    async def rerank(asked: RerankRequest) -> RerankResponse:
        """Documents, the best for the query first: by the reranker, or else by nearness."""
        scoring = services.scores_named(asked.model)
        query, *documents = await _documents([asked.query, *asked.documents], services.media)
        scores = await services.worker.run(
            lambda: scoring.scores(query, documents, asked.instruction)
        )
        order = sorted(range(len(scores)), key=lambda at: -scores[at])[: asked.top_n]
        return RerankResponse(
            id=f"rerank-{uuid.uuid4().hex}",
            model=scoring.name,
            results=[
                Ranked(
                    index=at,
                    relevance_score=scores[at],
                    document=_told(asked.documents[at]) if asked.return_documents else None,
                )
                for at in order
            ],
        )

    @out.post("/score")
    @out.post("/v1/score", include_in_schema=False)
    async def score(asked: ScoreRequest) -> ScoreResponse:
        """How near texts are, one to many or pair by pair."""
        embeds = services.embeds_named(asked.model)
        left, right = _texts(asked.text_1), _texts(asked.text_2)
        if len(left) not in (1, len(right)):
            raise Refused(
                400,
                f"text_1 holds {len(left)} and text_2 {len(right)}; give 1 or equally many",
                field="text_1",
            )
        asking, held = [Item(text=text) for text in left], [Item(text=text) for text in right]

        def scored() -> list[float]:
            if len(asking) == 1:
                return embeds.scores(asking[0], held)
            return [embeds.scores(a, [b])[0] for a, b in zip(asking, held, strict=True)]

        scores = await services.worker.run(scored)
        return ScoreResponse(
            id=f"score-{uuid.uuid4().hex}",
            model=embeds.name,
            data=[Score(index=at, score=one) for at, one in enumerate(scores)],
        )

    return out


def _texts(given: Any) -> list[str]:
    texts = [given] if isinstance(given, str) else list(given)
    if not texts or not all(isinstance(text, str) for text in texts):
        raise Refused(
            400, "input: give text, or a list of texts; ids are another tokenizer's", field="input"
        )
    if (empty := next((at for at, text in enumerate(texts) if not text.strip()), None)) is not None:
        raise Refused(400, f"text {empty} is empty; leave it out", field="input")
    return texts


async def _shown(messages: Sequence[Shown], media: MediaReader) -> Item:
    """All that messages say, and their picture, as one item."""
    words, sources = [], []
    for message in messages:
        if isinstance(message.content, str):
            words.append(message.content)
            continue
        words += [part.text for part in message.content if isinstance(part, TextPart)]
        sources += [part.image_url.url for part in message.content if isinstance(part, ImagePart)]
    if len(sources) > 1:
        raise Refused(400, f"{len(sources)} pictures in one embedding; send one", field="messages")
    pictures = await media.pictures(sources)
    text = "\n".join(one for one in words if one.strip())
    if not text and not pictures:
        raise Refused(400, "the messages are empty; send words or a picture", field="messages")
    return Item(text=text, image=pictures[0].image if pictures else None)


async def _documents(given: Sequence[str | Document], media: MediaReader) -> list[Item]:
    bare = [Document(text=one) if isinstance(one, str) else one for one in given]
    for at, one in enumerate(bare):
        if not one.text.strip() and one.image is None:
            name = f"document {at - 1}" if at else "the query"
            raise Refused(400, f"{name} is empty; give words or a picture")
    pictures = iter(await media.pictures([one.image for one in bare if one.image is not None]))
    return [
        Item(text=one.text, image=None if one.image is None else next(pictures).image)
        for one in bare
    ]


def _told(document: str | Document) -> dict[str, Any]:
    return {"text": document if isinstance(document, str) else document.text}

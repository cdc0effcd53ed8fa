"""`/v1/models`, `/health` and `/metrics`."""

from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from chiasm import __version__
from chiasm.serving.refusal import STATUSES, Refused
from chiasm.serving.services import Services


def router(services: Services) -> APIRouter:
    out = APIRouter(responses=STATUSES)

    def names() -> list[str]:
        served = (services.chatter, services.embeds, services.reranks)
        return [one.name for one in served if one is not None]

    def told(name: str) -> dict[str, Any]:
        return {"id": name, "object": "model", "created": 0, "owned_by": "chiasm"}

    @out.get("/v1/models")
    async def models() -> dict[str, Any]:
        """The names of what is served."""
        return {"object": "list", "data": [told(name) for name in names()]}

    @out.get("/v1/models/{name:path}")
    async def model(name: str) -> dict[str, Any]:
        """One of them."""
        if name not in names():
            raise Refused(404, f"no model {name!r:.80}; there is {' and '.join(names()) or 'none'}")
        return told(name)

    @out.get("/health")
    async def health() -> dict[str, Any]:
        """Whether the server answers, and what it serves."""
        return {
            "status": "ok",
            "version": __version__,
            "chat": services.chatter is not None,
            "embeddings": services.embeds is not None,
            "rerank": services.reranks is not None,
            "search": services.answers is not None,
            "queue": services.worker.held,
        }

    @out.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Counts and times, for Prometheus."""
        return Response(services.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    return out

"""The application: routes, refusals, guard and measures around one set of services."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from chiasm import __version__
from chiasm.serving import refusal
from chiasm.serving.guard import Guard
from chiasm.serving.metrics import Measured
from chiasm.serving.routes import answer, chat, embeddings, models, search, units
from chiasm.serving.services import Services


def application(services: Services) -> FastAPI:
    """An ASGI app; the services' thread ends with it."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        services.worker.close()

    app = FastAPI(
        title="chiasm",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # they load scripts from elsewhere
        redoc_url=None,
    )
    refusal.install(app)
    for group in (models, chat, embeddings, search, answer, units):
        app.include_router(group.router(services))
    app.add_middleware(Guard, settings=services.settings)
    app.add_middleware(Measured, metrics=services.metrics)
    return app

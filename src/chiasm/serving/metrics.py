"""Counts and times of one server, as Prometheus reads them."""

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chiasm.serving.cache import ContentCache
from chiasm.serving.worker import Worker

SECONDS = (0.005, 0.02, 0.1, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)


class Metrics:
    """Every server counts in a registry of its own."""

    def __init__(self, worker: Worker, cache: ContentCache) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "chiasm_requests",
            "Requests by route and status.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.latency = Histogram(
            "chiasm_request_seconds",
            "Seconds from the request to the last byte of its answer.",
            ("route",),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.tokens = Counter(
            "chiasm_tokens",
            "Tokens read (prompt) and generated (completion).",
            ("kind",),
            registry=self.registry,
        )
        self.first = Histogram(
            "chiasm_first_token_seconds",
            "Seconds from the request to the first token of its answer.",
            buckets=SECONDS,
            registry=self.registry,
        )
        for name, what, read in (
            ("chiasm_queue", "Requests before the model.", lambda: worker.held),
            ("chiasm_media_cache_bytes", "Held by the media cache.", lambda: cache.held),
            ("chiasm_media_cache_hits", "Media read before.", lambda: cache.hits),
            ("chiasm_media_cache_misses", "Media read now.", lambda: cache.misses),
        ):
            Gauge(name, what, registry=self.registry).set_function(read)

    def text(self) -> bytes:
        return generate_latest(self.registry)


class Measured:
    """Counts and times whatever an app answers."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app, self.metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.perf_counter(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, watched)
        finally:
            # The route's pattern, not the address: labels must stay few.
            route = getattr(scope.get("route"), "path", None) or "other"
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self.metrics.requests.labels(method, route, str(status)).inc()
            self.metrics.latency.labels(route).observe(time.perf_counter() - started)


_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")

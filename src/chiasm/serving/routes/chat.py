"""`/v1/chat/completions`, whole or as server-sent events."""

import json
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from chiasm.decoding import Sampling
from chiasm.errors import ChiasmError
from chiasm.serving import conversation
from chiasm.serving.chatting import Piece
from chiasm.serving.refusal import STATUSES, Refused, body
from chiasm.serving.services import Services
from chiasm.serving.wire.chat import ChatRequest, ChatResponse, Choice, Reply, Usage


def router(services: Services) -> APIRouter:
    out = APIRouter(responses=STATUSES)

    @out.post("/v1/chat/completions", response_model=ChatResponse)
    async def chat(asked: ChatRequest) -> Any:
        """Continue a conversation that may show pictures and recordings."""
        started = time.perf_counter()
        if asked.max_tokens and asked.max_completion_tokens:
            raise Refused(400, "give max_tokens or max_completion_tokens, not both")
        chatter = services.chatter_named(asked.model)
        example, notes = await conversation.read(
            asked.messages, services.media, services.worker, looks=chatter.asker.looks
        )
        stop = [asked.stop] if isinstance(asked.stop, str) else asked.stop or []
        sampling = Sampling(temperature=asked.temperature, top_p=asked.top_p, seed=asked.seed)
        pieces = services.worker.stream(
            lambda: chatter.pieces(
                example,
                max_new=asked.max_tokens or asked.max_completion_tokens,
                default=services.settings.max_new,
                sampling=sampling,
                stop=stop,
            )
        )
        # What is wrong with the prompt shows before the first byte of the answer.
        first = await anext(pieces)
        counted = _counted(pieces, first, started, services)
        head = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": chatter.name,
        }
        if asked.stream:
            options = asked.stream_options
            usage = options is not None and options.include_usage
            events = _events(counted, head, first, notes, usage)
            return StreamingResponse(events, media_type="text/event-stream")
        said = [piece async for piece in counted]
        return ChatResponse(
            **head,
            choices=[
                Choice(
                    message=Reply(content="".join(piece.text for piece in said)),
                    finish_reason=said[-1].finish or "stop",
                )
            ],
            usage=_usage(first, said[-1]),
            notes=notes,
        )

    return out


async def _counted(
    pieces: AsyncIterator[Piece], first: Piece, started: float, services: Services
) -> AsyncIterator[Piece]:
    """The pieces, their tokens and the wait for the first one counted."""
    tokens, waiting, last = services.metrics.tokens, True, 0
    tokens.labels("prompt").inc(first.prompt_tokens)
    try:
        async for piece in pieces:
            if waiting:
                services.metrics.first.observe(time.perf_counter() - started)
                waiting = False
            last = piece.completion_tokens
            yield piece
    finally:
        tokens.labels("completion").inc(last)
        await pieces.aclose()  # type: ignore[attr-defined]


async def _events(
    pieces: AsyncIterator[Piece],
    head: dict[str, Any],
    first: Piece,
    notes: list[str],
    usage: bool,
) -> AsyncIterator[str]:
    """Chunks as OpenAI's clients read them; an error on the way is the last of them."""
    chunk = {**head, "object": "chat.completion.chunk"}

    def told(delta: dict[str, str], finish: str | None = None, **more: Any) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return _event({**chunk, "choices": [choice], **more})

    yield told({"role": "assistant", "content": ""}, notes=notes)
    last = first
    try:
        async for last in pieces:
            if last.text:
                yield told({"content": last.text})
        yield told({}, last.finish)
        if usage:
            yield _event({**chunk, "choices": [], "usage": _usage(first, last).model_dump()})
    except ChiasmError as error:
        status = error.status if isinstance(error, Refused) else 400
        yield _event(body(status, str(error)))
    yield "data: [DONE]\n\n"


def _event(told: dict[str, Any]) -> str:
    return f"data: {json.dumps(told)}\n\n"


def _usage(first: Piece, last: Piece) -> Usage:
    return Usage(
        prompt_tokens=first.prompt_tokens,
        completion_tokens=last.completion_tokens,
        total_tokens=first.prompt_tokens + last.completion_tokens,
    )

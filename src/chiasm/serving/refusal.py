"""Every refusal in one shape, that of OpenAI's API: one line, and the field that it is about."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from chiasm.data.source import printable
from chiasm.errors import ChiasmError

log = logging.getLogger(__name__)


class Refused(ChiasmError):
    """A request that is answered with a status other than 200."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.field = field
        self.headers = dict(headers or {})


class Complaint(BaseModel):
    """What was wrong."""

    message: str
    type: str
    param: str | None = None
    code: int


class Refusal(BaseModel):
    """The body of every answer that is an error."""

    error: Complaint


STATUSES: dict[int | str, dict[str, Any]] = {
    status: {"model": Refusal} for status in (400, 401, 403, 404, 405, 408, 413, 421, 422, 429, 504)
}
"""For the description of the API."""


def body(status: int, message: str, field: str | None = None) -> dict[str, Any]:
    """The JSON of a refusal, which any encoder of UTF-8 can write."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    line = " ".join(_sayable(message).split())
    told = None if field is None else _sayable(field)
    return {"error": {"message": line, "type": kind, "param": told, "code": status}}


def response(error: Refused) -> JSONResponse:
    return JSONResponse(body(error.status, str(error), error.field), error.status, error.headers)


def install(app: FastAPI) -> None:
    """Every error that a handler may raise becomes a refusal."""

    @app.exception_handler(ChiasmError)
    async def _(_: Request, error: ChiasmError) -> JSONResponse:
        if isinstance(error, Refused):
            return response(error)
        return JSONResponse(body(400, str(error)), 400)

    @app.exception_handler(RequestValidationError)
    async def _(_: Request, error: RequestValidationError) -> JSONResponse:
        line, field = first_line(error.errors())
        return JSONResponse(body(422, line, field), 422)

    @app.exception_handler(HTTPException)
    async def _(_: Request, error: HTTPException) -> JSONResponse:
        return JSONResponse(
            body(error.status_code, str(error.detail)), error.status_code, error.headers
        )

    @app.exception_handler(Exception)
    async def _(_: Request, error: Exception) -> JSONResponse:
        log.error("a request failed", exc_info=error)
        told = f"the server failed ({type(error).__name__}); its log says where"
        return JSONResponse(body(500, told), 500)


def first_line(errors: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """The line of pydantic's complaint that got furthest, and the field it names.

    A value that may be of several kinds gives a complaint for each; the one that went deepest is
    about the kind that was meant.
    """
    first = max(errors, key=lambda error: len(error["loc"]))
    *above, last = [part for part in first["loc"] if part != "body"] or ["body"]
    # Names of kinds stand among those of fields.
    path = [str(part) for part in above if str(part).isalnum() or str(part).isidentifier()]
    field = printable(".".join([*path, str(last)]), 120)
    told = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "extra_forbidden":
        told = "is not known here; leave it out"
    if first["type"] == "json_invalid":
        return f"the body is not JSON ({first.get('ctx', {}).get('error', 'malformed')})", "body"
    return f"{field}: {told}", field


def _sayable(text: str) -> str:
    """Text that UTF-8 can carry."""
    return text.encode("utf-8", "backslashreplace").decode()

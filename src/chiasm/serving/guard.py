"""What every request passes before any handler: who asks, from where, and how much they bring."""

import asyncio
import base64
import binascii
import hmac
import ipaddress
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chiasm.serving.refusal import Refused, response
from chiasm.serving.settings import LOOPBACK, Settings

OPEN = ("/health",)
"""Answered without a token."""


class Guard:
    """Refuses before a byte of the body is read where it can, and reads no more than the limit.

    A body is read whole before its handler starts, so that a slow one holds up nobody.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app, self.settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value for name, value in scope["headers"]}
        try:
            self._origin(headers)
            if scope["path"] not in OPEN:
                self._token(headers)
            body = await self._body(headers, receive)
        except Refused as error:
            # What was not read of the body must not be taken for the next request.
            error.headers["Connection"] = "close"
            await response(error)(scope, receive, send)
            return
        await self.app(scope, _Replayed(body, receive), send)

    def _origin(self, headers: dict[str, bytes]) -> None:
        """A page of another site must not speak to this one, under whatever name it found it."""
        host = headers.get("host", b"").decode("latin-1")
        name = _name(host)
        if self.settings.local and name not in LOOPBACK and not _is_loopback(name):
            raise Refused(421, f"this server answers as localhost, not as {name!r:.80}")
        origin = headers.get("origin", b"").decode("latin-1")
        if origin and urlsplit(origin).netloc.lower() != host.lower():
            raise Refused(403, f"a page of {origin!r:.80} may not use this server")

    def _token(self, headers: dict[str, bytes]) -> None:
        """A bearer token, or the same as the password that a browser asks for."""
        if not (token := self.settings.token):
            return
        kind, _, given = headers.get("authorization", b"").strip().partition(b" ")
        given = given.strip()
        if kind.lower() == b"basic":
            try:
                given = base64.b64decode(given, validate=True).partition(b":")[2]
            except (binascii.Error, ValueError):
                given = b""
        elif kind.lower() != b"bearer":
            given = b""
        if not hmac.compare_digest(given, token.encode()):
            raise Refused(
                401,
                "the token is missing or wrong; send it as 'Authorization: Bearer ...'",
                headers={"WWW-Authenticate": 'Basic realm="chiasm: the token is the password"'},
            )

    async def _body(self, headers: dict[str, bytes], receive: Receive) -> bytes:
        limit = self.settings.max_body
        too_large = Refused(413, f"the body is above the limit of {limit:,} bytes; send less")
        told = headers.get("content-length", b"0")
        if not told.isdigit() or int(told[:20]) > limit:
            raise too_large
        body = bytearray()
        try:
            async with asyncio.timeout(self.settings.upload_seconds):
                while True:
                    message = await receive()
                    body += message.get("body", b"")
                    if len(body) > limit:
                        raise too_large
                    if not message.get("more_body", False):
                        return bytes(body)
        except TimeoutError:
            raise Refused(
                408, f"the body did not arrive within {self.settings.upload_seconds:g} s"
            ) from None


class _Replayed:
    """A body that was read already, then whatever the server says."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


def _name(host: str) -> str:
    """A Host header without its port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False

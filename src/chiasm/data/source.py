"""Where a medium comes from: a path, bytes, a file object, a data URI or standard input.

Everything ends as one named, seekable, size-capped byte stream. Nothing is fetched from a network.
"""

import base64
import binascii
import io
import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from chiasm.errors import ChiasmError, Misuse

Source = str | os.PathLike[str] | bytes | BinaryIO

MAX_BYTES = 256 * 2**20
"""Encoded bytes accepted from one source, unless the caller says otherwise."""

_REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_CHUNK = 2**20


@contextmanager
def opened(source: Source, max_bytes: int = MAX_BYTES) -> Iterator[tuple[str, BinaryIO]]:
    """The name to use in messages, and a seekable stream at the medium's first byte.

    Raises Misuse for a source that cannot be meant (missing, a folder, remote) and ChiasmError for
    one that is empty, too large or unreadable.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        yield "image bytes", _in_memory("image bytes", bytes(source), max_bytes)
    elif isinstance(source, str | os.PathLike):
        text = os.fspath(source)
        if text == "-":
            data = _read("standard input", sys.stdin.buffer, max_bytes)
            yield "standard input", _in_memory("standard input", data, max_bytes)
        elif text[:5].lower() == "data:":
            yield "data URI", _in_memory("data URI", _decoded(text, max_bytes), max_bytes)
        else:
            with _file(text, max_bytes) as stream:
                yield printable(text), stream
    elif hasattr(source, "read"):
        told = getattr(source, "name", None)
        name = printable(told) if isinstance(told, str) else "file object"
        yield name, _in_memory(name, _borrowed(name, source, max_bytes), max_bytes)
    else:
        raise Misuse(
            f"an image is a path, bytes, a binary file object, a data URI or '-' for standard "
            f"input, not {type(source).__name__}"
        )


def is_remote(name: str) -> bool:
    """Whether a name is an address on a network (`scheme:/...`) rather than a path."""
    return _REMOTE.match(name) is not None


def printable(name: str, limit: int = 200) -> str:
    """`name` on one line: control characters escaped, the middle of a very long one left out."""
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)
    return line if len(line) <= limit else f"{line[: limit // 2]}...{line[-limit // 2 :]}"


def _file(path: str, max_bytes: int) -> BinaryIO:
    name = printable(path)
    if is_remote(path):
        raise Misuse(
            f"{name}: remote media is not fetched; download it yourself and pass the file's path"
        )
    try:
        status = os.stat(path)
    except FileNotFoundError:
        raise Misuse(f"{name}: no such file; check the path") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Misuse(f"{name}: not a usable path ({reason}); check it") from None
    if stat.S_ISDIR(status.st_mode):
        raise Misuse(f"{name}: is a folder, not an image; name one of its files")
    if not stat.S_ISREG(status.st_mode):
        raise Misuse(f"{name}: is not a regular file; pipe it to standard input and pass '-'")
    _check_size(name, status.st_size, max_bytes)
    try:
        return open(path, "rb")
    except OSError as error:
        raise ChiasmError(
            f"{name}: cannot be read ({error.strerror}); check its permissions"
        ) from None


def _in_memory(name: str, data: bytes, max_bytes: int) -> BinaryIO:
    _check_size(name, len(data), max_bytes)
    return io.BytesIO(data)


def _borrowed(name: str, stream: BinaryIO, max_bytes: int) -> bytes:
    """The bytes of a caller's file object, which is left where it was if it can seek."""
    try:
        start = stream.tell() if stream.seekable() else None
    except (AttributeError, OSError, ValueError):
        start = None
    data = _read(name, stream, max_bytes)
    if start is not None:
        stream.seek(start)
    return data


def _read(name: str, stream: BinaryIO, max_bytes: int) -> bytes:
    """All that is left of `stream`, giving up as soon as it passes the cap."""
    data = bytearray()
    try:
        while chunk := stream.read(_CHUNK):
            if isinstance(chunk, str):
                raise Misuse(f"{name}: opened in text mode; open it with mode 'rb'")
            data += chunk
            _check_size(name, len(data), max_bytes, "at least ")
    except (OSError, ValueError) as error:
        raise ChiasmError(f"{name}: cannot be read ({error}); open it for binary reading") from None
    return bytes(data)


def _decoded(uri: str, max_bytes: int) -> bytes:
    header, comma, body = uri.partition(",")
    if not comma or not header.lower().rstrip().endswith(";base64"):
        raise Misuse("data URI: expected 'data:image/png;base64,' and then base64 text")
    _check_size("data URI", len(body) // 4 * 3 - 2, max_bytes)
    try:
        return base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ChiasmError(f"data URI: not valid base64 ({error}); encode the file again") from None


def _check_size(name: str, size: int, max_bytes: int, so_far: str = "") -> None:
    if size == 0:
        raise ChiasmError(f"{name}: is empty (0 bytes); save or download it again")
    if size > max_bytes:
        raise ChiasmError(
            f"{name}: {so_far}{size:,} bytes, above the cap of {max_bytes:,}; "
            f"shrink it or raise max_bytes"
        )

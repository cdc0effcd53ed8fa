"""Pictures that a document names: read if they lie in the folder, never fetched from a network."""

import hashlib
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from PIL import Image

from chiasm.data.media import read_image
from chiasm.data.source import printable
from chiasm.errors import ChiasmError
from chiasm.ingestion.reading import File, Limits
from chiasm.ingestion.walk import inside

_SMALLEST = 24
"""Pixels of a side below which a picture is an ornament."""


class Pictures:
    """What one document's pictures are, what was wrong with them, and which files they were."""

    def __init__(self, file: File, limits: Limits) -> None:
        self.notes: list[str] = []
        self.beside: dict[str, str] = {}
        self._file, self._limits = file, limits
        self._remote = 0

    def said(self) -> tuple[str, ...]:
        """The notes, the pictures on the network as one."""
        if not self._remote:
            return tuple(self.notes)
        return (*self.notes, f"pictures on a network, not fetched: {self._remote}")

    def read(self, source: str) -> tuple[Image.Image, str] | None:
        """The picture and its path in the folder, or None where there is nothing to show."""
        source = source.strip()
        if source[:5].lower() == "data:":
            return self._opened(source, "")
        parts = urlsplit(source)
        if parts.scheme or parts.netloc:
            self._remote += 1
            return None
        return self._in_folder(unquote(parts.path))

    def _in_folder(self, path: str) -> tuple[Image.Image, str] | None:
        if not path or "\0" in path:
            return None
        root = self._file.root
        # A path from the root of a site is one from the root of the folder.
        base = root if path.startswith("/") else self._file.place.parent
        place = base / path.lstrip("/")
        if not inside(root, place):
            self.notes.append(f"its picture {printable(path)} is outside the folder: left out")
            return None
        named = place.resolve().relative_to(root).as_posix()
        if any(part.startswith(".") for part in named.split("/")):
            self.notes.append(f"its picture {printable(path)} is hidden: left out")
            return None
        if not place.is_file():
            self.beside[named] = ""
            self.notes.append(f"its picture {printable(path)} is not there")
            return None
        if PurePosixPath(path).suffix.lower() == ".svg":
            self.notes.append(f"its picture {printable(path)} is SVG: found as a file of its own")
            return None
        if place.stat().st_size > self._limits.bytes:
            self.notes.append(f"its picture {printable(path)} is too large: left out")
            return None
        data = place.read_bytes()
        self.beside[named] = hashlib.sha256(data).hexdigest()
        return self._opened(data, named)

    def _opened(self, source: str | bytes, named: str) -> tuple[Image.Image, str] | None:
        limits = self._limits
        try:
            image = read_image(source, max_pixels=limits.pixels, max_bytes=limits.bytes)
        except ChiasmError as error:
            reason = str(error).partition(": ")[2] or str(error)
            self.notes.append(f"its picture {printable(named) or 'inside it'}: {reason}")
            return None
        return None if min(image.size) < _SMALLEST else (image, named)

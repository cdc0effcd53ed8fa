"""What a reader is given and what it gives back."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from chiasm.data.media import MAX_PIXELS
from chiasm.retrieval.unit import Unit


@dataclass(frozen=True, kw_only=True)
class File:
    """A file of the folder, as the walk found it."""

    root: Path
    path: str
    """From `root` on, with forward slashes."""
    sha256: str
    size: int
    """Bytes."""

    @property
    def place(self) -> Path:
        return self.root / self.path

    @property
    def title(self) -> str:
        return title_of(self.path)

    def unit_id(self, position: str, version: str) -> str:
        """The same for the same bytes at the same path, read by the same reader."""
        return _digest(self.path)[:_PLACE] + _digest(self.sha256, position, version)[:_WHAT]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much of one file is read; what lies beyond is left out and said."""

    bytes: int = 2**28
    """Of a picture, a PDF, slides."""
    text_bytes: int = 2**24
    """Of a page of HTML, of Markdown, text or code."""
    media_bytes: int = 2**34
    """Of sound and film, which are never held whole."""
    pixels: int = MAX_PIXELS
    pages: int = 2_000
    unpacked: int = 2**28
    """Bytes that a packed file may become."""
    seconds: float = 6 * 3600.0
    """Of sound and film."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a folder is read."""

    ocr: bool = True
    """Whether words on pictures are recognised."""
    speech: Path | None = None
    """The folder of the model that transcribes; None leaves speech out."""
    limits: Limits = field(default_factory=Limits)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What became of one file; without a unit, the notes say why."""

    units: tuple[Unit, ...] = ()
    notes: tuple[str, ...] = ()
    beside: Mapping[str, str] = field(default_factory=dict)
    """Other files of the folder that it shows: path and SHA-256, empty where there is none."""


_PLACE, _WHAT = 12, 20
"""Hexadecimal digits of an id that tell its file's path, and those that tell the rest."""


Read = Callable[[File, Options], Reading]


@dataclass(frozen=True, kw_only=True)
class Reader:
    """How one kind of file is read."""

    version: str
    """Part of every unit's id; a new one has the files read again."""
    read: Read
    looks: bool = False
    """Whether it recognises words on pictures."""
    listens: bool = False

    def key(self, options: Options) -> str:
        """Of what was read how: two readings of one file with equal keys are equal."""
        parts = [self.version, str(options.limits)]
        if self.looks:
            parts.append(f"ocr {options.ocr}")
        if self.listens:
            parts.append(f"speech {options.speech.name if options.speech else ''}")
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def moved_id(unit: str, path: str) -> str:
    """The id that a unit has when its file is at another path."""
    return _digest(path)[:_PLACE] + unit[_PLACE:]


def title_of(path: str) -> str:
    """A file's name in words: `trip/red_car-2.png` is `red car 2`."""
    return " ".join(PurePosixPath(path).stem.replace("_", " ").replace("-", " ").split())


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()

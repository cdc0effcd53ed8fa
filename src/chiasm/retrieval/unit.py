"""What a library is made of: each thing that a search can find, and where it stands in its file."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Box = tuple[float, float, float, float]
"""Left, top, right and bottom as fractions of the picture's or page's width and height."""


class Kind(StrEnum):
    """What a unit is; `type=` in a filter."""

    IMAGE = "image"
    PAGE = "page"
    """A page of a PDF or of slides."""
    SECTION = "section"
    """Words of a web page or of Markdown under one heading, with the pictures among them."""
    FIGURE = "figure"
    """A picture that stands in a document, with its caption."""
    AUDIO = "audio"
    VIDEO = "video"
    TEXT = "text"
    CODE = "code"


@dataclass(frozen=True, kw_only=True)
class Span:
    """Some words of a unit, and where they stand: in a box, or between two seconds."""

    text: str
    box: Box | None = None
    start: float | None = None
    end: float | None = None


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One thing that can be found and cited."""

    id: str
    """Of what was read and where it stands; equal files in two places give two ids."""
    path: str
    """Of its file, from the indexed folder on, with forward slashes."""
    file: str
    """SHA-256 of the file's bytes."""
    kind: Kind
    title: str = ""
    text: str = ""
    """What it says: as written, recognised on the picture, or transcribed."""
    spans: tuple[Span, ...] = ()
    """Where the words stand, in reading order; citations are made of them."""
    page: int | None = None
    """From 1."""
    box: Box | None = None
    """Of a figure on its page."""
    start: float | None = None
    end: float | None = None
    """Seconds, of a stretch of sound or film."""
    picture: bytes | None = field(default=None, repr=False)
    """What it looks like (PNG, JPEG or WebP): to show and to embed."""
    metadata: Mapping[str, str | int | float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A unit that a search found."""

    unit: Unit
    score: float
    """Higher is better; comparable within one answer only."""
    stage: str
    """Who ranked it last: `fused`, or a reranker."""
    scores: Mapping[str, float] = field(default_factory=dict)
    """What each part of the search thought of it."""

    def as_json(self) -> dict[str, object]:
        """`path, score, page, box, start, end, text`, and what else a person may want to know."""
        unit = self.unit
        return {
            "path": unit.path,
            "score": self.score,
            "type": str(unit.kind),
            "title": unit.title,
            "page": unit.page,
            "box": None if unit.box is None else list(unit.box),
            "start": unit.start,
            "end": unit.end,
            "text": unit.text,
            "id": unit.id,
        }

"""The typed records that a trace is made of, and their JSON."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any, get_args, get_origin

from chiasm.errors import ChiasmError
from chiasm.retrieval.unit import Box, Span

Json = Any
"""What JSON holds: None, booleans, numbers, strings, lists and objects."""


@dataclass(frozen=True, kw_only=True)
class Began:
    """Which pipeline was run, with which settings, over what."""

    pipeline: str
    settings: dict[str, Json]
    reader: str
    version: int = 1


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question; asked again, its later form takes the place of the earlier."""

    text: str
    images: tuple[str, ...] = ()
    """SHA-256 of the pictures that were shown with it."""
    where: str = ""
    """The filter over the library, as it is written."""


@dataclass(frozen=True, kw_only=True)
class Media:
    """A picture that came into the run: shown by the person, or seen in a unit."""

    id: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A ranking begins: its `count` hits follow, and take the place of those before."""

    name: str
    count: int


@dataclass(frozen=True, kw_only=True)
class Found:
    """A hit of a stage; ranks count from 1."""

    id: str
    score: float
    rank: int
    stage: str


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the reader is given: words of a unit, a picture of it, or both."""

    unit: str
    path: str
    title: str = ""
    page: int | None = None
    box: Box | None = None
    start: float | None = None
    end: float | None = None
    quote: str = ""
    spans: tuple[Span, ...] = ()
    """What the quote is made of, joined by single spaces, each with its place."""
    picture: str | None = None
    """SHA-256 of the picture that goes to the reader."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """A model or an engine is asked; the arguments are the key under which it is answered."""

    step: str
    tool: str
    arguments: Json


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What the last call gave."""

    value: Json


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of the last call."""

    seconds: float
    tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class Note:
    """What a person should know about this run."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Citation:
    """A sentence of the answer and the evidence that it rests on; without one it is unsupported."""

    sentence: str
    supported: bool
    number: int | None = None
    """Of the evidence, from 1, as `[1]` in the answer."""
    unit: str | None = None
    path: str | None = None
    page: int | None = None
    box: Box | None = None
    start: float | None = None
    end: float | None = None
    quote: str = ""
    """Words of the evidence, as they stand there."""


@dataclass(frozen=True, kw_only=True)
class Answered:
    text: str
    citations: tuple[Citation, ...] = field(default=())


Record = (
    Began | Asked | Media | Stage | Found | Evidence | Call | Observation | Cost | Note | Answered
)
_KINDS: dict[str, type] = {kind.__name__.lower(): kind for kind in get_args(Record)}


def as_json(record: Record) -> dict[str, Json]:
    """`{"record": kind, ...fields}`."""
    return {"record": type(record).__name__.lower(), **asdict(record)}


def from_json(read: Json) -> Record:
    """The record of one line of a trace.

    Raises:
        ChiasmError: no such record, or fields that it does not have.
    """
    if not isinstance(read, dict) or read.get("record") not in _KINDS:
        kind = read.get("record") if isinstance(read, dict) else type(read).__name__
        raise ChiasmError(f"{kind!r} is no record; a trace holds {', '.join(_KINDS)}")
    given = dict(read)
    kind = _KINDS[given.pop("record")]
    return _made(kind, given)


def _made(kind: type, given: dict[str, Json]) -> Any:
    names = {one.name for one in fields(kind)}
    if given.keys() != names:
        odd = sorted(given.keys() ^ names)
        raise ChiasmError(f"{kind.__name__.lower()} has other fields: {', '.join(odd)} disagree")
    for one in fields(kind):
        value = given[one.name]
        if not fits(value, one.type):
            raise ChiasmError(
                f"{kind.__name__.lower()}: field {one.name!r} is {type(value).__name__}, "
                f"where {getattr(one.type, '__name__', one.type)} belongs"
            )
    for name, part in (("citations", Citation), ("spans", Span)):
        if name in names:
            given[name] = tuple(_made(part, dict(one)) for one in given[name])
    for name in ("images", "box"):
        if given.get(name) is not None:
            given[name] = tuple(given[name])
    return kind(**given)


def fits(value: Json, declared: Any) -> bool:
    """Whether a value read from JSON can stand for a declared type; lists stand for tuples."""
    if declared is Json:
        return True
    if type(None) in get_args(declared):
        return any(fits(value, option) for option in get_args(declared))
    origin, members = get_origin(declared) or declared, get_args(declared)
    if origin is tuple:
        if not isinstance(value, list):
            return False
        each = members[:1] * len(value) if members[-1] is Ellipsis else members
        return len(each) == len(value) and all(map(fits, value, each))
    if origin in (Citation, Span):
        return isinstance(value, dict)
    if isinstance(value, bool):
        return origin is bool
    return isinstance(value, (int, float) if origin is float else origin)

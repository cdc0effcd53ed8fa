"""`/search`: a composed query, and what it found."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from chiasm.retrieval.unit import Unit
from chiasm.serving.addresses import picture_of, view_of
from chiasm.serving.wire.chat import Said
from chiasm.serving.wire.strict import Strict

Weight = Annotated[float, Field(ge=0, le=10)]
Identity = Annotated[str, Field(min_length=1, max_length=1024)]


class Weights(Strict):
    """How much each part counts; 0 leaves it out."""

    text: Weight = 1.0
    image: Weight = 1.0
    minus: Weight = 1.0
    like: Weight = 1.0


class SearchRequest(Strict):
    text: Said = ""
    """Words that are wanted."""
    image: str | None = None
    """A picture that is wanted: a data: URI."""
    minus: Said = ""
    """Words that are not wanted."""
    like: tuple[Identity, ...] = Field((), max_length=64)
    """Ids of units already found: more like these."""
    weights: Weights = Weights()
    instruction: str = Field("", max_length=4096)
    where: str = Field("", max_length=20_000)
    """A filter, such as `type=pdf and page>3`."""
    k: int = Field(10, ge=1, le=200)
    rerank: int = Field(0, ge=0, le=200)
    """How many of the first hits the server's reranker puts in order."""


class Found(BaseModel):
    """One unit, where it stands, and what each part of the search thought of it."""

    id: str
    path: str
    type: str
    title: str
    text: str
    score: float
    stage: str
    scores: dict[str, float]
    page: int | None
    box: list[float] | None
    start: float | None
    end: float | None
    picture: str | None
    """Where its picture is, on this server."""
    view: str
    """Where a person looks at it."""


class SearchResponse(BaseModel):
    hits: list[Found]
    notes: list[str]


class UnitResponse(BaseModel):
    """A unit, with where its words stand."""

    id: str
    path: str
    type: str
    title: str
    text: str
    page: int | None
    box: list[float] | None
    start: float | None
    end: float | None
    picture: str | None
    view: str
    spans: list[dict[str, Any]]
    metadata: dict[str, str | int | float]


def place_of(unit: Unit) -> dict[str, Any]:
    """What the API tells of a unit, wherever it does."""
    return {
        "id": unit.id,
        "path": unit.path,
        "type": str(unit.kind),
        "title": unit.title,
        "text": unit.text,
        "page": unit.page,
        "box": None if unit.box is None else list(unit.box),
        "start": unit.start,
        "end": unit.end,
        "picture": picture_of(unit),
        "view": view_of(unit, second=unit.start),
    }

"""`/answer`: a question over the library, and what the answer rests on."""

from typing import Literal

from pydantic import BaseModel, Field

from chiasm.serving.wire.strict import Strict


class AnswerRequest(Strict):
    question: str = Field(min_length=1, max_length=8192)
    images: tuple[str, ...] = Field((), max_length=8)
    """Pictures that are shown with it: data: URIs."""
    where: str = Field("", max_length=20_000)
    k: int = Field(10, ge=1, le=50)
    """Units that are read."""
    reader: Literal["model", "extractive"] | None = None
    """Who answers: the chat model, or a search for the sentence that fits best; by default the
    model where one is served."""


class Cited(BaseModel):
    """A sentence of the answer and where it stands; without a number, nothing holds it."""

    sentence: str
    supported: bool
    number: int | None
    unit: str | None
    path: str | None
    page: int | None
    box: list[float] | None
    start: float | None
    end: float | None
    quote: str
    view: str | None
    """Where a person looks at it on this server: the box drawn, or from the second on."""


class AnswerResponse(BaseModel):
    answer: str
    citations: list[Cited]
    notes: list[str]
    reader: str

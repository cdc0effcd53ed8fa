"""`/v1/embeddings`, `/rerank` and `/score`."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator

from chiasm.serving.wire.chat import ImagePart, Said, TextPart
from chiasm.serving.wire.strict import Strict

MOST = 2048
"""Items of one request."""
Texts = Annotated[list[Said], Field(min_length=1, max_length=MOST)]
Content = Annotated[TextPart | ImagePart, Field(discriminator="type")]


class Shown(Strict):
    """Words and pictures that become one embedding together."""

    role: Literal["user", "system", "assistant"] = "user"
    content: Said | Annotated[list[Content], Field(min_length=1, max_length=64)]


class EmbeddingsRequest(Strict):
    """Texts by `input`, or pictures and words by `messages`, which give one embedding."""

    model: str
    input: Said | Texts | list[int] | list[list[int]] | None = None
    """Ids in the place of text are refused: they are another tokenizer's."""
    messages: Annotated[list[Shown], Field(min_length=1, max_length=64)] | None = None
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(None, ge=1)
    """The first entries alone, where the embedder was taught to put first what matters."""
    input_type: Literal["query", "document"] = "document"
    """On which side of a search the items stand."""
    instruction: str = Field("", max_length=4096)
    user: str | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> "EmbeddingsRequest":
        if (self.input is None) == (self.messages is None):
            raise ValueError("give either input or messages")
        return self


class EmbeddingEntry(BaseModel):
    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str
    """Numbers, or base64 of float32, little-endian."""


class EmbeddingUsage(BaseModel):
    prompt_tokens: int
    total_tokens: int


class EmbeddingsResponse(BaseModel):
    object: Literal["list"] = "list"
    data: list[EmbeddingEntry]
    model: str
    usage: EmbeddingUsage


class Document(Strict):
    """Words, a picture, or both."""

    text: Said = ""
    image: str | None = None
    """A data: URI."""


class RerankRequest(Strict):
    """As Cohere and Jina write it."""

    model: str | None = None
    query: Said | Document
    documents: Annotated[list[Said | Document], Field(min_length=1, max_length=MOST)]
    top_n: int | None = Field(None, ge=1)
    return_documents: bool = False
    instruction: str = Field("", max_length=4096)


class Ranked(BaseModel):
    index: int
    relevance_score: float
    document: dict[str, Any] | None = None


class RerankResponse(BaseModel):
    id: str
    model: str
    results: list[Ranked]


class ScoreRequest(Strict):
    """One text against one, one against many, or many against as many."""

    model: str | None = None
    text_1: Said | Texts
    text_2: Said | Texts


class Score(BaseModel):
    index: int
    object: Literal["score"] = "score"
    score: float


class ScoreResponse(BaseModel):
    id: str
    object: Literal["list"] = "list"
    model: str
    data: list[Score]

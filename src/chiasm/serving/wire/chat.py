"""`/v1/chat/completions`, as OpenAI writes it."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from chiasm.serving.wire.strict import Strict

LONGEST = 1_000_000
"""Characters of one text."""
Said = Annotated[str, Field(max_length=LONGEST)]


class TextPart(Strict):
    type: Literal["text"]
    text: Said


class ImageAddress(Strict):
    url: str
    """A data: URI; an http(s) address where the server allows it."""
    detail: Literal["auto", "low", "high"] = "auto"
    """Accepted; a model's own recipe says how large it looks at pictures."""


class ImagePart(Strict):
    type: Literal["image_url"]
    image_url: ImageAddress


class Recording(Strict):
    data: str
    """Base64."""
    format: Literal["wav", "mp3", "flac", "ogg", "m4a", "webm"]


class AudioPart(Strict):
    type: Literal["input_audio"]
    input_audio: Recording


Part = Annotated[TextPart | ImagePart | AudioPart, Field(discriminator="type")]


class Instructions(Strict):
    role: Literal["system", "developer"]
    content: Said | list[TextPart]


class User(Strict):
    role: Literal["user"]
    content: Said | Annotated[list[Part], Field(max_length=256)]


class Assistant(Strict):
    role: Literal["assistant"]
    content: Said | list[TextPart]


Message = Annotated[Instructions | User | Assistant, Field(discriminator="role")]


class StreamOptions(Strict):
    include_usage: bool = False


class ChatRequest(Strict):
    model: str
    messages: list[Message] = Field(min_length=1, max_length=1024)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    """The newer name of `max_tokens`."""
    temperature: float = Field(0.0, ge=0, le=2)
    """0, the default here, takes the likeliest token: equal requests get equal answers."""
    top_p: float = Field(1.0, gt=0, le=1)
    seed: int = Field(0, ge=-(2**63), lt=2**63)
    stop: (
        Annotated[str, Field(min_length=1, max_length=256)]
        | Annotated[list[Annotated[str, Field(min_length=1, max_length=256)]], Field(max_length=4)]
        | None
    ) = None
    stream: bool = False
    stream_options: StreamOptions | None = None
    n: Literal[1] = 1
    user: str | None = None
    """Accepted; nothing is kept of it."""


class Usage(BaseModel):
    prompt_tokens: int
    """Rows the model was given, those of pictures included."""
    completion_tokens: int
    total_tokens: int


Finish = Literal["stop", "length"]


class Reply(BaseModel):
    role: Literal["assistant"] = "assistant"
    content: str


class Choice(BaseModel):
    index: int = 0
    message: Reply
    finish_reason: Finish


class ChatResponse(BaseModel):
    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage
    notes: list[str]
    """What a person should know about how pictures and recordings were read."""

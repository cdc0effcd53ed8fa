"""Messages of a chat request to the conversation that a model is asked to continue."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field

from chiasm.data.example import Example, Turn
from chiasm.serving.media import MediaReader
from chiasm.serving.refusal import Refused
from chiasm.serving.wire.chat import (
    Assistant,
    AudioPart,
    ImagePart,
    Instructions,
    Message,
    Part,
    TextPart,
    User,
)
from chiasm.serving.worker import Worker


@dataclass
class _Asked:
    """One question as it is put together."""

    text: str = ""
    places: list[int] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    after_text: bool = False

    def say(self, words: str) -> None:
        """Neighbouring texts are lines apart; a picture parts them as well."""
        self.text += ("\n" if self.after_text and self.text else "") + words
        self.after_text = True

    def show(self, url: str) -> None:
        self.pictures.append(url)
        self.places.append(len(self.text))
        self.after_text = False

    def turn(self, answer: str) -> Turn:
        """A single picture goes to the front, as conversations are taught; several stay."""
        places = (0,) if len(self.places) == 1 else tuple(self.places)
        return Turn(self.text, answer, places)


async def read(
    messages: Sequence[Message], media: MediaReader, worker: Worker, *, looks: bool
) -> tuple[Example, list[str]]:
    """The conversation up to its last question, and what to know about its media.

    Raises:
        ChiasmError: messages out of turn, an empty question, pictures for a model that looks at
            none, or media that cannot be read.
    """
    system, said = _parted(messages)
    notes: list[str] = []
    asked: list[tuple[_Asked, str]] = []
    for at in range(0, len(said), 2):
        question, answer = said[at], said[at + 1] if at + 1 < len(said) else None
        assert isinstance(question, User)
        reply = answer.content if isinstance(answer, Assistant) else ""
        one = await _asked(question.content, media, worker, notes)
        if not one.text.strip() and not one.pictures:
            raise Refused(400, "a user message is empty; ask something", field="messages")
        asked.append((one, _joined(reply)))
    sources = [url for one, _ in asked for url in one.pictures]
    if sources and not looks:
        raise Refused(400, "this model looks at no pictures; send text alone", field="messages")
    pictures = await media.pictures(sources)
    notes += [note for seen in pictures for note in seen.notes]
    turns = tuple(one.turn(answer) for one, answer in asked)
    if turns[0].places == (0,) * len(sources):
        # All in front of the first question: what a conversation without places means.
        turns = (Turn(turns[0].question, turns[0].answer), *turns[1:])
    images = tuple(seen.image for seen in pictures)
    return Example("messages", images, turns, system=system), notes


def _parted(messages: Sequence[Message]) -> tuple[str, list[Message]]:
    """What the system says, and questions and answers in turn."""
    first = 0
    while first < len(messages) and isinstance(messages[first], Instructions):
        first += 1
    said = list(messages[first:])
    roles = [one.role for one in said]
    if not said or roles != (["user", "assistant"] * len(said))[: len(said)] or not len(said) % 2:
        raise Refused(
            400,
            "messages must be system messages first, then user and assistant in turn, a user's "
            f"last; they are {', '.join(one.role for one in messages):.120}",
            field="messages",
        )
    return "\n".join(_joined(one.content) for one in messages[:first]), said  # type: ignore[arg-type]


async def _asked(
    content: str | Sequence[Part], media: MediaReader, worker: Worker, notes: list[str]
) -> _Asked:
    one = _Asked()
    if isinstance(content, str):
        one.say(content)
        return one
    for part in content:
        if isinstance(part, TextPart):
            one.say(part.text)
        elif isinstance(part, ImagePart):
            one.show(part.image_url.url)
        else:
            recording = _recording(part)
            one.say(await worker.run(lambda recording=recording: media.words(recording)))
            assert media.transcriber is not None
            notes.append(f"input_audio was transcribed by {media.transcriber.name}")
    return one


def _recording(part: AudioPart) -> bytes:
    try:
        return base64.b64decode(part.input_audio.data, validate=True)
    except (binascii.Error, ValueError):
        raise Refused(
            400, "input_audio.data is not base64; encode the file's bytes", field="messages"
        ) from None


def _joined(content: str | Sequence[TextPart]) -> str:
    return content if isinstance(content, str) else "\n".join(part.text for part in content)

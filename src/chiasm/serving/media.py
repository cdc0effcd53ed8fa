"""The media of a request, from data URIs (where allowed, public addresses) to what a model sees.

A path is never opened, whatever a request holds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import anyio
from PIL.Image import Image

from chiasm.data.media import read_image
from chiasm.data.source import opened, printable
from chiasm.serving.cache import ContentCache
from chiasm.serving.refusal import Refused
from chiasm.serving.remote import Remote
from chiasm.serving.settings import Settings

T = TypeVar("T")
AT_ONCE = 2
"""Media decoded at the same time, so that many large ones do not fill the memory."""


class Transcribes(Protocol):
    """Whatever writes down speech."""

    @property
    def name(self) -> str: ...

    def transcribe(self, recording: bytes) -> str:
        """What is said.

        Raises:
            ChiasmError: not a recording that can be read.
        """
        ...


@dataclass(frozen=True)
class Seen:
    """A picture, and what a person should know about how it was read."""

    image: Image
    notes: tuple[str, ...]


class MediaReader:
    """Reads the media of requests, and remembers by content what it read."""

    def __init__(
        self,
        settings: Settings,
        *,
        remote: Remote | None = None,
        transcriber: Transcribes | None = None,
    ) -> None:
        self.settings = settings
        self.transcriber = transcriber
        self.cache = ContentCache(settings.cache)
        self._remote = remote or Remote(max_bytes=settings.max_media)
        self._limit = anyio.CapacityLimiter(AT_ONCE)

    async def pictures(self, sources: Sequence[str]) -> list[Seen]:
        """The pictures at these addresses, in order.

        Raises:
            ChiasmError: too many, not allowed, or not readable.
        """
        if len(sources) > (most := self.settings.max_pictures):
            raise Refused(400, f"{len(sources)} pictures in one request; send {most} at most")
        return [await self.apart(lambda one=one: self.picture(one)) for one in sources]

    async def apart(self, work: Callable[[], T]) -> T:
        """Work on pictures beside the event loop, little of it at a time."""
        return await anyio.to_thread.run_sync(work, limiter=self._limit)

    def picture(self, source: str) -> Seen:
        """One picture, RGB and upright."""
        return self.decoded(self.bytes_of(source))

    def decoded(self, data: bytes) -> Seen:
        """The same of its encoded bytes."""
        cap = self.settings.max_pixels

        def read() -> Seen:
            notes: list[str] = []
            image = read_image(data, max_pixels=cap, max_bytes=self.settings.max_media, notes=notes)
            return Seen(image, tuple(notes))

        treatment = f"RGB, upright, first frame, at most {cap} pixels"
        return self.cache.get(data, treatment, read, _picture_bytes)

    def words(self, recording: bytes) -> str:
        """What is said in a recording; for the model's thread.

        Raises:
            ChiasmError: speech is not read here, or the recording is not readable.
        """
        transcriber = self.transcriber
        if transcriber is None:
            raise Refused(
                400,
                "input_audio: this server transcribes no speech; install 'chiasm[speech]' and "
                "fetch whisper, or send text",
            )
        if len(recording) > (most := self.settings.max_media):
            raise Refused(400, f"input_audio: above the cap of {most:,} bytes; shorten it")

        return self.cache.get(
            recording,
            f"words by {transcriber.name}",
            lambda: transcriber.transcribe(recording),
            lambda said: len(said) + 64,
        )

    def bytes_of(self, source: str) -> bytes:
        """The bytes of a data URI, or of a public address where those are allowed."""
        start = source[:8].lower()
        if start.startswith("data:"):
            with opened(source, self.settings.max_media) as (_, stream):
                return stream.read()
        shown = printable(source, 60)
        if not start.startswith(("http:", "https:")):
            raise Refused(400, f"{shown}: only data: URIs are read, never files; send the bytes")
        if not self.settings.allow_remote:
            raise Refused(
                400,
                f"{shown}: remote media is not fetched here; send the bytes as a data: URI "
                "(or start the server with --allow-remote)",
            )
        return self._remote.fetch(source)


def _picture_bytes(seen: Seen) -> int:
    return seen.image.width * seen.image.height * 3

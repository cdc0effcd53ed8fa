"""Sound and film: what is said and when; of film, what is seen as well."""

from collections.abc import Sequence
from typing import Any

from chiasm.errors import ChiasmError
from chiasm.ingestion.ocr import words_on
from chiasm.ingestion.pictures import stored
from chiasm.ingestion.pieces import SIZE
from chiasm.ingestion.reading import File, Options, Reader, Reading
from chiasm.ingestion.scenes import Scene, scenes
from chiasm.ingestion.speech import transcribed
from chiasm.ingestion.streams import Broken, frames, opened, seconds, windows
from chiasm.retrieval.unit import Kind, Span, Unit

VERSION = "media 1"
STRETCH = 45.0
"""Seconds of speech in one unit of a recording."""
_EVERY = 0.5
"""Seconds between the frames that are looked at."""
_SIDE = 768


def read(file: File, options: Options) -> Reading:
    """`VIDEO` a scene if there is a picture that moves, else `AUDIO` a stretch of speech."""
    notes: list[str] = []
    with opened(file) as container:
        film = [one for one in container.streams.video if not _cover(one)]
        if not film and not container.streams.audio:
            raise ChiasmError("no sound or film that can be read; save or download it again")
        shared, title = _about(file, container)
        if seconds(container) > options.limits.seconds:
            notes.append(
                f"is longer than {options.limits.seconds / 3600:g} h; the rest is left out"
            )
        seen = _seen(container, options, notes) if film else []
    spoken, language = _spoken(file, options, notes)
    if language:
        shared["language"] = language
    if film:
        return _film(file, title, shared, seen, spoken, options, notes)
    units = [
        _unit(file, number, Kind.AUDIO, title, shared, spans=run, start=start, end=end)
        for number, (start, end, run) in enumerate(_stretches(spoken, shared))
    ]
    return Reading(units=tuple(units), notes=tuple(notes))


def _film(
    file: File,
    title: str,
    shared: dict[str, str | int | float],
    seen: Sequence[Scene],
    spoken: Sequence[Span],
    options: Options,
    notes: list[str],
) -> Reading:
    """A unit a scene: the words spoken in it, then those on its picture."""
    units = []
    for number, scene in enumerate(seen):
        last = number == len(seen) - 1
        said = [span for span in spoken if scene.holds(_middle(span), last=last)]
        shown = words_on(scene.picture) if options.ocr else ()
        units.append(
            _unit(
                file,
                number,
                Kind.VIDEO,
                title,
                shared,
                spans=(*said, *shown),
                start=scene.start,
                end=scene.end,
                picture=stored(scene.picture),
            )
        )
    if not units:
        notes.append("no frame of it can be decoded")
    return Reading(units=tuple(units), notes=tuple(notes))


def _unit(
    file: File,
    number: int,
    kind: Kind,
    title: str,
    shared: dict[str, str | int | float],
    *,
    spans: Sequence[Span],
    start: float,
    end: float,
    picture: bytes | None = None,
) -> Unit:
    return Unit(
        id=file.unit_id(f"stretch {number}", VERSION),
        path=file.path,
        file=file.sha256,
        kind=kind,
        title=title,
        text="\n".join(span.text for span in spans),
        spans=tuple(spans),
        start=round(start, 3),
        end=round(end, 3),
        picture=picture,
        metadata=shared,
    )


def _seen(container: Any, options: Options, notes: list[str]) -> list[Scene]:
    limits = options.limits
    looked = frames(container, every=_EVERY, most=limits.seconds, pixels=limits.pixels, side=_SIDE)
    found, broken = scenes(looked, seconds(container))
    if broken:
        notes.append(broken)
    return found


def _spoken(file: File, options: Options, notes: list[str]) -> tuple[tuple[Span, ...], str]:
    """Transcribed with a container of its own: film and sound are each read from the start."""
    if options.speech is None:
        return (), ""
    with opened(file) as container:
        if not container.streams.audio:
            return (), ""
        heard = []

        def kept() -> Any:
            try:
                yield from windows(container, options.limits.seconds)
            except Broken as error:
                heard.append(str(error))

        found = transcribed(kept(), options.speech)
        notes += [one for one in heard if one not in notes]
        return found


def _stretches(
    spoken: Sequence[Span], shared: dict[str, str | int | float]
) -> list[tuple[float, float, list[Span]]]:
    """Runs of sentences of at most `STRETCH` seconds and one piece's characters; the whole of a
    recording in which nobody speaks.
    """
    runs: list[list[Span]] = []
    for span in spoken:
        run = runs[-1] if runs else []
        length = sum(len(one.text) + 1 for one in run) + len(span.text)
        if run and (span.end or 0) - (run[0].start or 0) <= STRETCH and length <= SIZE:
            run.append(span)
        else:
            runs.append([span])
    if not runs:
        return [(0.0, float(shared.get("duration", 0.0)), [])]
    return [(run[0].start or 0.0, run[-1].end or 0.0, run) for run in runs]


def _about(file: File, container: Any) -> tuple[dict[str, str | int | float], str]:
    """Length and format, and the title that the file gives itself, or else its name."""
    told = {name.lower(): value for name, value in container.metadata.items()}
    shared: dict[str, str | int | float] = {"format": file.place.suffix.lower().removeprefix(".")}
    if length := seconds(container):
        shared["duration"] = round(length, 3)
    title = " ".join(str(told.get("title", "")).split())
    artist = " ".join(str(told.get("artist", "")).split())
    return shared, " – ".join(filter(None, (artist, title))) if title else file.title


def _cover(stream: Any) -> bool:
    """Whether it is one still picture, as on the sleeve of a song."""
    return "attached_pic" in str(stream.disposition).lower()


def _middle(span: Span) -> float:
    return ((span.start or 0.0) + (span.end or 0.0)) / 2


MEDIA = Reader(version=VERSION, read=read, looks=True, listens=True)

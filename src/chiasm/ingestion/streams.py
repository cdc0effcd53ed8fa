"""Sound and film as PyAV decodes them: a container that opens nothing else, samples, frames."""

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from chiasm.errors import ChiasmError, Misuse
from chiasm.ingestion.reading import File
from chiasm.ingestion.speech import RATE

WINDOW = 600.0
"""Seconds of sound that are held at a time."""
_CONTAINERS = ",".join(
    (
        *("aac", "aiff", "asf", "avi", "flac", "flv", "m4a", "matroska", "mov", "mp3", "mp4"),
        *("mpeg", "mpegts", "mpegvideo", "ogg", "wav", "webm"),
    )
)


class Broken(ChiasmError):
    """A medium that ends or breaks in its middle: what came before it stands."""


@contextmanager
def opened(file: File) -> Iterator[Any]:
    """An open container.

    Only formats that hold their media themselves are accepted: a playlist could name other files
    and addresses. Nothing is opened but the file.

    Raises:
        Misuse: PyAV is not installed.
        ChiasmError: not a readable container.
    """
    if importlib.util.find_spec("av") is None:
        raise Misuse("sound and film need av, which is not installed: pip install 'chiasm[media]'")
    import av
    import av.logging
    from av.error import FFmpegError

    av.logging.set_level(av.logging.PANIC)
    allowed = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "none"}
    with file.place.open("rb") as stream:
        try:
            container = av.open(stream, options=allowed, metadata_errors="replace")
        except (FFmpegError, ValueError) as error:
            raise ChiasmError(f"no sound or film that can be read ({_said(error)})") from None
        with container:
            yield container


def samples(place: Path, most: float = WINDOW) -> np.ndarray:
    """The sound of a recording or a film, mono at `RATE`, up to about the second `most`.

    Raises:
        Misuse: no such file, or PyAV is not installed.
        ChiasmError: not a container that can be read, without sound, or damaged.
    """
    if not place.is_file():
        raise Misuse(f"{place}: no such file; give a recording")
    file = File(root=place.parent, path=place.name, sha256="", size=place.stat().st_size)
    try:
        with opened(file) as container:
            if not container.streams.audio:
                raise ChiasmError("holds no sound; give a recording")
            heard = [part for _, part in windows(container, most)]
    except ChiasmError as error:
        raise type(error)(f"{place}: {error}") from None
    if not heard:
        raise ChiasmError(f"{place}: holds no sound; give a recording")
    return np.concatenate(heard)


def seconds(container: Any) -> float:
    """How long it says it is; 0 where it says nothing."""
    return (container.duration or 0) / 1e6


def windows(container: Any, most: float) -> Iterator[tuple[float, np.ndarray]]:
    """Mono samples at `RATE`, at most `WINDOW` seconds at a time, up to the second `most`.

    Raises:
        Broken: after the last whole window, where the file is damaged.
    """
    import av
    from av.error import FFmpegError

    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    held: list[np.ndarray] = []
    begun, length = 0, 0
    broken = ""
    try:
        for frame in container.decode(container.streams.audio[0]):
            for one in resampler.resample(frame):
                held.append(one.to_ndarray()[0])
                length += held[-1].size
            if length >= WINDOW * RATE:
                yield begun / RATE, np.concatenate(held)
                begun, held, length = begun + length, [], 0
            if begun + length >= most * RATE:
                break
        # What the filter still holds, a few milliseconds.
        if begun + length:
            held += [one.to_ndarray()[0] for one in resampler.resample(None)]
    except (FFmpegError, ValueError) as error:
        broken = _said(error)
    if held:
        yield begun / RATE, np.concatenate(held)
    if broken:
        raise Broken(f"breaks off after {(begun + length) / RATE:.1f} s ({broken})")


def frames(
    container: Any, *, every: float, most: float, pixels: int, side: int
) -> Iterator[tuple[float, Image.Image]]:
    """The first frame of every stretch of so many seconds, shrunk to `side`, with its second.

    Raises:
        ChiasmError: frames of more pixels than the cap.
        Broken: after the last whole frame, where the film is damaged.
    """
    from av.error import FFmpegError

    stream = container.streams.video[0]
    if stream.width * stream.height > pixels:
        raise ChiasmError(
            f"{stream.width:,} x {stream.height:,} pixels a frame, above the cap of {pixels:,}"
        )
    stream.thread_type = "NONE"
    due = last = 0.0
    try:
        for frame in container.decode(stream):
            now = frame.time if frame.time is not None else last
            if now > most:
                return
            last = now
            if now < due:
                continue
            due = (now // every + 1) * every
            scale = min(side / max(frame.width, frame.height), 1.0)
            size = (max(round(frame.width * scale), 1), max(round(frame.height * scale), 1))
            small = frame.reformat(width=size[0], height=size[1], format="rgb24")
            yield now, Image.fromarray(small.to_ndarray())
    except (FFmpegError, ValueError) as error:
        raise Broken(f"breaks off after {last:.1f} s ({_said(error)})") from None


def _said(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__

"""Pictures drawn once: kept as PNG, without loss, for the epochs after the first."""

import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from PIL import Image
from rich.progress import track

from chiasm.data.example import Picture
from chiasm.data.views import picture
from chiasm.embedders.pairs import (
    CaptionedPicture,
    Changed,
    ChangedPicture,
    Filmed,
    FilmedPictures,
    PairLike,
)


@dataclass(frozen=True)
class Remembered:
    """A picture by its path or by what it is drawn from, which is read the first time alone."""

    source: Picture
    kept: dict[Picture, bytes] = field(compare=False, repr=False)

    def draw(self) -> Image.Image:
        """The picture in RGB, as reading it anew would give it."""
        if self.source not in self.kept:
            written = io.BytesIO()
            picture(self.source).convert("RGB").save(written, "PNG", compress_level=1)
            self.kept[self.source] = written.getvalue()
        return Image.open(io.BytesIO(self.kept[self.source])).convert("RGB")


def all_read(pairs: Sequence[PairLike]) -> list[PairLike]:
    """The same, every picture read now, so that no clock of teaching counts it."""
    kept = remembered(pairs)
    every = (one for pair in kept for one in _pictures(pair))
    sources = list(dict.fromkeys(one for one in every if isinstance(one, Remembered)))
    with ThreadPoolExecutor() as pool:
        read = pool.map(Remembered.draw, sources)
        for _ in track(read, "reading pictures", total=len(sources), transient=True):
            pass
    return kept


def remembered(pairs: Sequence[PairLike]) -> list[PairLike]:
    """The pairs, their pictures read once; pictures that are in memory stay as they are."""
    kept: dict[Picture, bytes] = {}
    return [_remembered(pair, kept) for pair in pairs]


def _remembered(pair: PairLike, kept: dict[Picture, bytes]) -> PairLike:
    def read_once(source: Picture) -> Picture:
        return source if isinstance(source, Image.Image) else Remembered(source, kept)

    held = pair.id, pair.concept, read_once(pair.picture), pair.texts
    if isinstance(pair, Changed):
        return ChangedPicture(*held, read_once(pair.before), pair.change)
    if isinstance(pair, Filmed):
        return FilmedPictures(*held, tuple(read_once(one) for one in pair.frames))
    return CaptionedPicture(*held)


def _pictures(pair: PairLike) -> Iterator[Picture]:
    yield pair.picture
    if isinstance(pair, Changed):
        yield pair.before
    if isinstance(pair, Filmed):
        yield from pair.frames

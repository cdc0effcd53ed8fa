"""Pictures drawn once: kept as PNG, without loss, for the epochs after the first."""

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from PIL import Image
from rich.progress import track

from chiasm.data.example import Picture
from chiasm.data.views import picture
from chiasm.embedders.pairs import CaptionedPicture, PairLike


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
    sources = list(dict.fromkeys(p.picture for p in kept if isinstance(p.picture, Remembered)))
    with ThreadPoolExecutor() as pool:
        read = pool.map(Remembered.draw, sources)
        for _ in track(read, "reading pictures", total=len(sources), transient=True):
            pass
    return kept


def remembered(pairs: Sequence[PairLike]) -> list[PairLike]:
    """The pairs, their pictures read once; pictures that are in memory stay as they are."""
    kept: dict[Picture, bytes] = {}
    return [
        pair
        if isinstance(pair.picture, Image.Image)
        else CaptionedPicture(pair.id, pair.concept, Remembered(pair.picture, kept), pair.texts)
        for pair in pairs
    ]

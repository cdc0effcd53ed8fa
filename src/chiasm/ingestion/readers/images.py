"""Pictures: upright, small enough to keep, with the words that stand on them."""

from collections.abc import Sequence

from PIL import Image

from chiasm.data.media import read_image
from chiasm.ingestion.ocr import words_on
from chiasm.ingestion.pictures import stored
from chiasm.ingestion.reading import File, Options, Reader, Reading
from chiasm.retrieval.unit import Kind, Span, Unit

VERSION = "image 1"


def unit_of(
    file: File, image: Image.Image, *, format: str, words: Sequence[Span], version: str = VERSION
) -> Unit:
    """A whole file that is one picture, with what it says."""
    return Unit(
        id=file.unit_id("", version),
        path=file.path,
        file=file.sha256,
        kind=Kind.IMAGE,
        title=file.title,
        text="\n".join(span.text for span in words),
        spans=tuple(words),
        picture=stored(image),
        metadata={"format": format, "width": image.width, "height": image.height},
    )


def read(file: File, options: Options) -> Reading:
    """One unit, of the first picture of the file."""
    limits = options.limits
    image = read_image(file.place, max_pixels=limits.pixels, max_bytes=limits.bytes)
    with Image.open(file.place) as header:
        format, several = (header.format or "").lower(), getattr(header, "n_frames", 1)
    words = words_on(image) if options.ocr else ()
    unit = unit_of(file, image, format=format, words=words)
    pages = several > 1 and format == "tiff"
    notes = (f"holds {several} pictures; only the first is read",) if pages else ()
    return Reading(units=(unit,), notes=notes)


IMAGES = Reader(version=VERSION, read=read, looks=True)

"""One file, whatever it is, as units; what goes wrong with it is a line, and never an exception."""

from chiasm.data.source import printable
from chiasm.errors import ChiasmError
from chiasm.ingestion.formats import HEAD, Format, format_of
from chiasm.ingestion.readers.html import HTML
from chiasm.ingestion.readers.images import IMAGES
from chiasm.ingestion.readers.markdown import MARKDOWN
from chiasm.ingestion.readers.media import MEDIA
from chiasm.ingestion.readers.office import SLIDES, WORDS
from chiasm.ingestion.readers.pdf import PDF
from chiasm.ingestion.readers.svg import SVG
from chiasm.ingestion.readers.text import CODE, TEXT
from chiasm.ingestion.reading import File, Limits, Options, Reader, Reading

READERS: dict[Format, Reader] = {
    Format.IMAGE: IMAGES,
    Format.SVG: SVG,
    Format.PDF: PDF,
    Format.SLIDES: SLIDES,
    Format.WORDS: WORDS,
    Format.HTML: HTML,
    Format.MARKDOWN: MARKDOWN,
    Format.TEXT: TEXT,
    Format.CODE: CODE,
    Format.MEDIA: MEDIA,
}
UNKNOWN = "is no kind of file that is read"
_TEXTS = {Format.HTML, Format.MARKDOWN, Format.TEXT, Format.CODE, Format.SVG}


def reader_of(file: File) -> Format | None:
    """Which reader a file is for, from its first bytes and its name."""
    with file.place.open("rb") as stream:
        return format_of(file.path, stream.read(HEAD))


def key_of(file: File, options: Options) -> str:
    """Of how a file is read: it changes when its reader or an option that matters to it does."""
    try:
        found = reader_of(file)
    except OSError:
        return ""
    return "" if found is None else READERS[found].key(options)


def read(file: File, options: Options) -> Reading:
    """What a file shows and says. Without a unit, the notes say why in a line each."""
    try:
        if file.size == 0:
            return Reading(notes=("is empty",))
        found = reader_of(file)
        if found is None:
            return Reading(notes=(UNKNOWN,))
        most = _most(found, options.limits)
        if file.size > most:
            return Reading(notes=(f"{file.size:,} bytes, above the cap of {most:,}: not read",))
        return READERS[found].read(file, options)
    except ChiasmError as error:
        return Reading(notes=(_short(file, error),))
    except OSError as error:
        return Reading(notes=(f"cannot be read ({error.strerror or error})",))
    except MemoryError:
        return Reading(notes=("needs more memory than there is: not read",))
    except Exception as error:
        # A hostile file may break a library in ways of its own; the other files must be read.
        said = printable(str(error).partition("\n")[0]) or "no reason given"
        return Reading(notes=(f"cannot be read ({type(error).__name__}: {said})",))


def _most(found: Format, limits: Limits) -> int:
    if found is Format.MEDIA:
        return limits.media_bytes
    return limits.text_bytes if found in _TEXTS else limits.bytes


def _short(file: File, error: ChiasmError) -> str:
    """The error without the path, which is listed beside it."""
    line = " ".join(str(error).split())
    return line.removeprefix(f"{printable(str(file.place))}: ")

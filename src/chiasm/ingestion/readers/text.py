"""Plain text and code: pieces of about 1,200 characters that do not overlap, with line numbers."""

from pathlib import PurePosixPath

from chiasm.ingestion.formats import LANGUAGES
from chiasm.ingestion.pieces import pieces
from chiasm.ingestion.reading import File, Options, Reader, Reading
from chiasm.retrieval.unit import Kind, Unit

VERSION = "text 1"


def decoded(data: bytes) -> tuple[str, tuple[str, ...]]:
    """Bytes as words: UTF-8 or UTF-16 with its mark, else Western Windows with a note."""
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"", "utf-8-sig")):
        if data.startswith(mark):
            try:
                return data.decode(encoding), ()
            except UnicodeDecodeError:
                continue
    return data.decode("cp1252", errors="replace"), ("is not UTF-8; read as Windows-1252",)


def _read(file: File, options: Options, kind: Kind) -> Reading:
    words, notes = decoded(file.place.read_bytes())
    suffix = PurePosixPath(file.path).suffix.lower()
    shared = {"format": suffix.removeprefix(".") or str(kind)}
    if kind is Kind.CODE:
        shared["language"] = LANGUAGES.get(suffix, "typescript")
    units = []
    for run in pieces(words.splitlines()):
        text = "\n".join(line.rstrip() for _, line in run).strip("\n")
        if not text.strip():
            continue
        first, last = run[0][0] + 1, run[-1][0] + 1
        # A long line is cut into several pieces, so that its number alone would not name one.
        position = f"piece {len(units)}"
        units.append(
            Unit(
                id=file.unit_id(position, VERSION),
                path=file.path,
                file=file.sha256,
                kind=kind,
                title=PurePosixPath(file.path).name if kind is Kind.CODE else file.title,
                text=text,
                metadata={**shared, "line": first, "last_line": last},
            )
        )
    if not units:
        notes = (*notes, "has no words")
    return Reading(units=tuple(units), notes=notes)


def read_text(file: File, options: Options) -> Reading:
    """Prose, tables, logs, settings: `Kind.TEXT`."""
    return _read(file, options, Kind.TEXT)


def read_code(file: File, options: Options) -> Reading:
    """Source text: `Kind.CODE`, with its language."""
    return _read(file, options, Kind.CODE)


TEXT = Reader(version=VERSION, read=read_text)
CODE = Reader(version=VERSION, read=read_code)

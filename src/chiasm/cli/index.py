"""`chiasm index`: a folder's files into a library, to search in."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from chiasm.library import Library, Report

SPEECH = "whisper-base"
_LISTED = 20


def index(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Whose files to read.")],
    into: Annotated[Path, typer.Option(help="The library: a folder, made if need be.")],
    embedder: Annotated[
        str | None,
        typer.Option(help="Of a new library: a name, or a sentence-transformers folder."),
    ] = None,
    backend: Annotated[str | None, typer.Option(help="Of a new library: lance or qdrant.")] = None,
    no_ocr: Annotated[
        bool, typer.Option("--no-ocr", help="Do not recognise words on pictures.")
    ] = False,
    no_speech: Annotated[
        bool, typer.Option("--no-speech", help="Do not transcribe sound and film.")
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(min=0, help="Processes that read files; 0 reads in this one."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Read the files of a folder into a library; again, only what has changed is read.

    Pictures, PDFs, web pages, Markdown, text, code, slides, sound and film. May be stopped at any
    time and run again.

    Example: chiasm index ~/papers --into papers.library
    """
    from chiasm.cli.indexing_bar import Bar
    from chiasm.errors import Misuse
    from chiasm.ingestion import Options

    if not folder.is_dir():
        raise Misuse(f"{folder}: no such folder; name the folder that holds the files")
    options = Options(ocr=not no_ocr, speech=None if no_speech else _speech())
    with _opened(into, embedder, backend) as library, Bar() as bar:
        report = library.index(folder, options=options, workers=workers, watch=bar)
    if as_json:
        typer.echo(json.dumps(_as_object(report, into), indent=2, ensure_ascii=False))
        return
    _print(report, into)


def _opened(into: Path, embedder: str | None, backend: str | None) -> "Library":
    from chiasm.errors import Misuse
    from chiasm.library import Library
    from chiasm.library.config import FILE

    if not (into / FILE).exists():
        chosen = {"embedder": embedder, "backend": backend}
        return Library.create(into, **{name: one for name, one in chosen.items() if one})
    library = Library.open(into)
    for name, wanted, has in (
        ("embedder", embedder, library.config.embedder),
        ("backend", backend, library.config.backend),
    ):
        # A folder is kept by its whole path.
        if wanted not in (None, has) and str(Path(str(wanted)).resolve()) != has:
            raise Misuse(f"{into} was made with --{name} {has}, not {wanted}; leave it out")
    return library


def _speech() -> Path | None:
    """The model's folder, or None and a note: the rest can be read without it."""
    from chiasm import weights

    if weights.holds(SPEECH):
        return weights.path(SPEECH)
    typer.echo(
        f"note: speech is not transcribed: fetch its model with `chiasm weights fetch {SPEECH}`, "
        "or give --no-speech",
        err=True,
    )
    return None


def _print(report: "Report", into: Path) -> None:
    from rich.console import Console

    from chiasm.data.source import printable

    changes = {
        "read": report.read,
        "unchanged": report.unchanged,
        "moved": report.moved,
        "deleted": report.deleted,
    }
    told = ", ".join(f"{count:,} {name}" for name, count in changes.items() if count)
    files = "1 file" if report.files == 1 else f"{report.files:,} files"
    typer.echo(f"{files} ({told or 'nothing to do'}) in {report.seconds:.1f} s")
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(report.units.items()))
    typer.echo(f"{into} holds {sum(report.units.values()):,} units: {kinds or 'none'}")
    errors = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
    for title, lines in (("left out", report.skipped), ("read with a note", report.notes)):
        if not lines:
            continue
        errors.print(f"{title}:")
        for path, reason in lines[:_LISTED]:
            errors.print(f"  {printable(path)}: {printable(reason)}")
        if len(lines) > _LISTED:
            errors.print(f"  and {len(lines) - _LISTED:,} more; --json lists all of them")


def _as_object(report: "Report", into: Path) -> dict[str, object]:
    return {
        "library": str(into),
        "files": report.files,
        "read": report.read,
        "unchanged": report.unchanged,
        "moved": report.moved,
        "deleted": report.deleted,
        "units": report.units,
        "seconds": round(report.seconds, 3),
        "skipped": [{"path": path, "reason": reason} for path, reason in report.skipped],
        "notes": [{"path": path, "note": note} for path, note in report.notes],
    }

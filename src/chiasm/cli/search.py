"""`chiasm search`: what a library holds that answers words and pictures."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from chiasm.cli.cited import cited

if TYPE_CHECKING:
    from chiasm.retrieval.query import Part
    from chiasm.retrieval.unit import Hit

_WEIGHT = re.compile(r"(words|image|minus|minus-image|like|unlike)(\d+)?=(\S+)")
_TEXT = 160
"""Characters of a hit's text that are printed."""


def search(
    library: Annotated[Path, typer.Argument(help="As `chiasm index` made it.")],
    words: Annotated[str, typer.Argument(help="What to look for.")] = "",
    image: Annotated[
        list[str] | None,
        typer.Option(help="More like this picture: a file, a data URI, or - for standard input."),
    ] = None,
    sound: Annotated[
        Path | None,
        typer.Option(help="A spoken question: what Whisper hears is looked for, best in English."),
    ] = None,
    minus: Annotated[list[str] | None, typer.Option(help="Less of these words.")] = None,
    minus_image: Annotated[list[str] | None, typer.Option(help="Less like this picture.")] = None,
    like: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="More like a unit found before.")
    ] = None,
    unlike: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Less like a unit found before.")
    ] = None,
    weight: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PART=NUMBER",
            help="How much a part counts, 1 by default: words=2, image=0.5, and image2=0.5 for "
            "the second --image alone.",
        ),
    ] = None,
    where: Annotated[
        str | None, typer.Option(help='A filter, such as "type=pdf and page>3".')
    ] = None,
    instruction: Annotated[
        str, typer.Option(help="What an embedder that takes instructions is told.")
    ] = "",
    rerank: Annotated[
        str | None,
        typer.Option(help="A cross-encoder, or a model that answers questions: folder or alias."),
    ] = None,
    listwise: Annotated[
        bool, typer.Option("--listwise", help="Have the reranker compare hits with each other.")
    ] = False,
    top: Annotated[int, typer.Option(min=1, help="How many hits are reranked.")] = 20,
    k: Annotated[int, typer.Option("-k", min=1, help="How many results.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
    html: Annotated[
        Path | None, typer.Option(help="Also write the results as a page with pictures.")
    ] = None,
) -> None:
    """Search a library by words, pictures, examples and filters, wanted and unwanted.

    Example: chiasm search papers.library "red vintage car" --minus people --where "type=image"
    """
    from chiasm.library import Library, reranker_of
    from chiasm.retrieval.query import Query
    from chiasm.retrieval.where import parse

    if sound is not None:
        words = f"{words} {_heard(sound)}"
    given = {
        "words": [words] if words.strip() else [],
        "image": image or [],
        "minus": minus or [],
        "minus-image": minus_image or [],
        "like": like or [],
        "unlike": unlike or [],
    }
    weights = _weights(weight or [], given)
    query = Query(
        parts=tuple(_parts(given, weights)),
        like=tuple(
            (one, weights[name, at])
            for name in ("like", "unlike")
            for at, one in enumerate(given[name])
        ),
        instruction=instruction,
        where=None if where is None else parse(where),
        k=k,
    )
    with Library.open(library) as opened:
        reranker = None if rerank is None else reranker_of(rerank, listwise=listwise)
        hits = opened.search(query, reranker=reranker, rerank=top)
        folder = opened.config.folder
    if html is not None:
        from chiasm.cli.contact_sheet import contact_sheet

        html.write_text(contact_sheet(_title(given), hits, folder), encoding="utf-8")
    if as_json:
        typer.echo(json.dumps([hit.as_json() for hit in hits], indent=2, ensure_ascii=False))
        return
    _print(hits)
    if html is not None:
        typer.echo(f"{html}  (pictures)")


def _heard(sound: Path) -> str:
    """What is said in a recording, also told to the person who asks."""
    from chiasm import weights
    from chiasm.cli.index import SPEECH
    from chiasm.data.source import printable
    from chiasm.errors import ChiasmError
    from chiasm.ingestion.speech import transcribed
    from chiasm.ingestion.streams import samples

    spans, _ = transcribed([(0.0, samples(sound))], weights.path(SPEECH))
    heard = " ".join(span.text for span in spans)
    if not heard:
        raise ChiasmError(f"{sound}: nobody speaks in it; give another recording, or words")
    typer.echo(f"heard: {printable(heard, _TEXT)}", err=True)
    return heard


def _weights(told: list[str], given: dict[str, list[str]]) -> dict[tuple[str, int], float]:
    """The weight of every part, negative where less of it is wanted."""
    from chiasm.errors import Misuse

    signs = {name: -1.0 if name in ("minus", "minus-image", "unlike") else 1.0 for name in given}
    found = {(name, at): signs[name] for name, some in given.items() for at in range(len(some))}
    for one in told:
        match = _WEIGHT.fullmatch(one)
        try:
            number = float(match[3]) if match else -1.0
        except ValueError:
            number = -1.0
        if match is None or not 0 <= number < float("inf"):
            raise Misuse(
                f"--weight {one}: give a part and a number of 0 or more, such as words=2; "
                f"parts are {', '.join(given)}"
            )
        name, which = match[1], match[2]
        places = range(len(given[name])) if which is None else [int(which) - 1]
        if not places or any((name, at) not in found for at in places):
            raise Misuse(f"--weight {one}: the query has no such part; give --{name} as well")
        for at in places:
            found[name, at] = signs[name] * number
    return found


def _parts(given: dict[str, list[str]], weights: dict[tuple[str, int], float]) -> "list[Part]":
    from chiasm.data.media import read_image
    from chiasm.retrieval.embedder import Item
    from chiasm.retrieval.query import Part

    parts = []
    for name in ("words", "image", "minus", "minus-image"):
        for at, one in enumerate(given[name]):
            shown = name in ("image", "minus-image")
            item = Item(image=read_image(one)) if shown else Item(text=one)
            parts.append(Part(item=item, weight=weights[name, at]))
    return parts


def _title(given: dict[str, list[str]]) -> str:
    signs = {"words": "", "image": "like ", "minus": "not ", "minus-image": "not like "}
    told = [f"{signs[name]}{one[:60]}" for name in signs for one in given[name]]
    told += [f"{name} {one}" for name in ("like", "unlike") for one in given[name]]
    return ", ".join(told)


def _print(hits: "list[Hit]") -> None:
    from chiasm.cli.terminal_pictures import shows_pictures, written
    from chiasm.data.source import printable

    if not hits:
        typer.echo("nothing found")
        return
    pictures = shows_pictures()
    for place, hit in enumerate(hits, start=1):
        unit = hit.unit
        # What a document says must not steer the terminal: `printable` escapes control codes.
        line = f"{place:>2}. {cited(hit)}  {hit.score:.4f}  [{unit.kind}] {unit.title}"
        typer.echo(printable(line.rstrip(), 400))
        text = " ".join(unit.text.split())
        if text and text != unit.title:
            typer.echo(f"    {printable(text[:_TEXT])}{'…' if len(text) > _TEXT else ''}")
        if pictures and unit.picture is not None:
            typer.echo(written(unit.picture))

"""`chiasm answer`: a question about one's own files, answered from a library with citations."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from chiasm.answering.pipeline import Pipeline
    from chiasm.answering.records import Citation
    from chiasm.answering.trace import Trace
    from chiasm.retrieval.token_vectors import TokenVectors


def answer(
    library: Annotated[
        str | None, typer.Argument(help="A library that `chiasm index` made: folder or address.")
    ] = None,
    question: Annotated[str | None, typer.Argument(help="What is asked, in quotes.")] = None,
    image: Annotated[
        list[Path] | None, typer.Option(help="A picture that the question is about; repeat.")
    ] = None,
    pipeline: Annotated[
        str, typer.Option(help="plain, wiki-llava, mrag, local, industrial-rag or mmndb.")
    ] = "plain",
    reader: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER|URL",
            help="A checkpoint folder, or an OpenAI-compatible address (key: OPENAI_API_KEY). "
            "Without one the answer is the sentence of your files that fits best.",
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="Which of the server's models.")] = None,
    where: Annotated[
        str | None, typer.Option(help="Filter, such as 'type=page and path~reports/'.")
    ] = None,
    k: Annotated[int | None, typer.Option("-k", help="How much is retrieved.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Another setting of the pipeline."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one object.")] = False,
    trace: Annotated[
        Path | None, typer.Option(help="Write every step here, as JSON lines.")
    ] = None,
    replay: Annotated[
        Path | None, typer.Option(help="Answer from a trace, offline: nothing is called.")
    ] = None,
) -> None:
    """Answer a question from your files, with citations down to page and box.

    Example: chiasm answer my.library "How often is the seal changed?" --trace why.jsonl
    """
    from chiasm.answering.pipeline import pipeline as named
    from chiasm.errors import Misuse

    if replay is not None:
        given = (library, question, image, reader, model, where, k, set_)
        if any(one is not None for one in given):
            raise Misuse("--replay repeats what its trace says; give it alone")
        _report(_replayed(replay), as_json, trace)
        return
    if library is None or question is None:
        raise Misuse("what is asked of which library? chiasm answer LIBRARY 'question'")
    settings = _settings(set_ or [])
    if k is not None:
        settings["k"] = k
    chosen = named(pipeline, **settings)
    _report(_answered(chosen, library, question, image or [], reader, model, where), as_json, trace)


def _answered(
    chosen: "Pipeline",
    location: str,
    text: str,
    images: list[Path],
    reader: str | None,
    model: str | None,
    where: str | None,
) -> "Trace":
    from chiasm.answering.desk import Question, Tools
    from chiasm.answering.pipeline import answer as run
    from chiasm.answering.readers import open_reader
    from chiasm.answering.summaries import Summaries
    from chiasm.library import Library
    from chiasm.retrieval.where import parse
    from chiasm.weights.cache import cache_root

    limit = None if where is None else parse(where)
    shown = tuple(_picture(path) for path in images)
    with Library.open(location) as opened:
        embedder = opened.vectors.embedder
        answering = open_reader(reader, model=model, embedder=embedder)
        tools = Tools(
            library=opened,
            embedder=embedder,
            reader=answering,
            pages=None if opened.vectors.many else _token_vectors(),
            summaries=Summaries(cache_root() / "summaries.json"),
        )
        return run(chosen, Question(text=text, images=shown, where=limit), tools)


def _token_vectors() -> "TokenVectors":
    """The packaged sentence model, read before it pools."""
    from chiasm import weights
    from chiasm.retrieval import SentenceModel
    from chiasm.retrieval.token_vectors import TokenVectors

    return TokenVectors(SentenceModel.open(weights.path("minilm-l6")))


def _picture(path: Path) -> bytes:
    from chiasm.data.media import read_image

    read_image(str(path))
    return path.read_bytes()


def _replayed(path: Path) -> "Trace":
    from chiasm.answering.pipeline import replay as again
    from chiasm.answering.trace import Trace

    return again(Trace.open(path))


def _settings(pairs: list[str]) -> dict[str, object]:
    """`name=value`, the value as JSON where it is any."""
    from chiasm.errors import Misuse

    found: dict[str, object] = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name:
            raise Misuse(f"--set {pair}: write NAME=VALUE")
        try:
            found[name.replace("-", "_")] = json.loads(value)
        except ValueError:
            found[name.replace("-", "_")] = value
    return found


def _report(made: "Trace", as_json: bool, trace: Path | None) -> None:
    from dataclasses import asdict

    from chiasm.answering.records import Cost

    if trace is not None:
        made.save(trace)
    answered, costs = made.answered(), made.of(Cost)
    if as_json:
        told = {
            "question": made.asked().text,
            **asdict(answered),
            "notes": made.notes(),
            "seconds": round(sum(one.seconds for one in costs), 3),
            "tokens": sum(one.tokens for one in costs),
        }
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    typer.echo(answered.text)
    for one in answered.citations:
        typer.echo(_line(one) if one.supported else f"  unsupported: {one.sentence}")
    for note in made.notes():
        typer.echo(f"note: {note}", err=True)


def _line(one: "Citation") -> str:
    from chiasm.answering.requests import place

    box = "" if one.box is None else " at " + ", ".join(f"{edge:.2f}" for edge in one.box)
    return f"  [{one.number}] {place(one)}{box}: {one.quote}"

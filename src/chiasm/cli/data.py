"""`chiasm data`: list, fetch and look at data sets."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from chiasm.data.example import Example

app = typer.Typer(help="Data sets: list, fetch, show.", no_args_is_help=True)


@app.command("list")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the packaged data sets, their splits, licences and whether they are fetched.

    Example: chiasm data list --json
    """
    from rich.console import Console
    from rich.table import Table

    from chiasm import weights
    from chiasm.data.registry import sources

    rows = [
        {
            "name": source.name,
            "splits": list(source.splits),
            "licence": source.licence,
            "fetched": all(map(weights.holds, source.packages)),
            "about": source.about,
        }
        for source in sources().values()
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in ("name", "splits", "licence", "fetched", "about"):
        table.add_column(name, no_wrap=name == "name")
    for row in rows:
        fetched = "yes" if row["fetched"] else "no"
        table.add_row(row["name"], ", ".join(row["splits"]), row["licence"], fetched, row["about"])
    Console().print(table)


@app.command()
def fetch(
    names: Annotated[list[str] | None, typer.Argument(help="Which data sets to fetch.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Fetch every data set.")] = False,
) -> None:
    """Fetch data sets into the cache; what is already there is not fetched again.

    Example: chiasm data fetch easy-vqa
    """
    from rich.console import Console

    from chiasm import weights
    from chiasm.data.registry import source, sources
    from chiasm.errors import Misuse

    if everything == bool(names):
        raise Misuse("name the data sets to fetch, or give --all; `chiasm data list` shows them")
    wanted = [source(name) for name in names or sources()]
    console = Console(stderr=True)
    for found in wanted:
        if not found.packages:
            typer.echo(f"{found.name}  generated when it is used; nothing to fetch")
            continue
        with console.status(f"fetching {found.name}"):
            folders = [weights.fetch(package) for package in found.packages]
        typer.echo(f"{found.name}  {' '.join(map(str, folders))}")


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A data set, or the path of a .json or .jsonl.")],
    split: Annotated[str, typer.Option(help="Which split.")] = "train",
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="How many examples.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
) -> None:
    """Print the first examples of a split: images, questions, answers.

    Example: chiasm data show easy-vqa --split test --n 2
    """
    from chiasm.data.registry import load

    data = load(name, split)
    if as_json:
        examples = [_as_object(example) for example in data[:n]]
        typer.echo(json.dumps(examples, indent=2, ensure_ascii=False))
        return
    turns = sum(len(example.turns) for example in data)
    typer.echo(f"{data.name} {data.split}: {len(data):,} examples, {turns:,} questions")
    for example in data[:n]:
        kind = "separate questions" if example.independent else "a conversation"
        typer.echo(f"\n{example.id}  ({kind})")
        for image in example.images:
            typer.echo(f"  image {image}")
        for turn in example.turns:
            drawn = "" if turn.picture is None else f"[{turn.picture}]"
            typer.echo(f"  {turn.question}  ->  {turn.answer}{drawn}")


def _as_object(example: "Example") -> dict[str, object]:
    return {
        "id": example.id,
        "images": [str(image) for image in example.images],
        "independent": example.independent,
        "system": example.system,
        "turns": [
            {
                "question": turn.question,
                "answer": turn.answer,
                **({} if turn.picture is None else {"picture": str(turn.picture)}),
            }
            for turn in example.turns
        ],
    }

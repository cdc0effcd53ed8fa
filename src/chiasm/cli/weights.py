"""`chiasm weights`: list, fetch and locate the pretrained parts that ship as packages."""

import json
from typing import Annotated

import typer

app = typer.Typer(
    help="Pretrained parts that ship as packages: list, fetch, locate.", no_args_is_help=True
)


@app.command("list")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the parts, their licences and whether they are fetched.

    Example: chiasm weights list --json
    """
    from rich.console import Console
    from rich.table import Table

    from chiasm import weights

    parts = [part for part in weights.listing() if part.kind is not weights.Kind.DATA]
    if as_json:
        rows = [
            {
                "alias": part.alias,
                "kind": part.kind.value,
                "package": part.package,
                "version": part.version,
                "licence": part.licence,
                "megabytes": part.megabytes,
                "fetched": weights.holds(part.alias),
                "description": part.description,
            }
            for part in parts
        ]
        typer.echo(json.dumps(rows, indent=2))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("alias", no_wrap=True)
    table.add_column("MB", justify="right")
    table.add_column("licence", no_wrap=True)
    table.add_column("fetched")
    table.add_column("description")
    for part in parts:
        fetched = "yes" if weights.holds(part.alias) else "no"
        table.add_row(part.alias, str(part.megabytes), part.licence, fetched, part.description)
    Console().print(table)


@app.command()
def fetch(
    aliases: Annotated[list[str] | None, typer.Argument(help="Which parts to fetch.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Fetch every part.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check the hash of every cached file too.")
    ] = False,
) -> None:
    """Fetch parts into the cache; what is already there is not fetched again.

    Example: chiasm weights fetch smollm2-135m minilm-l6
    """
    from rich.console import Console

    from chiasm import weights
    from chiasm.errors import Misuse

    if everything == bool(aliases):
        raise Misuse("name the parts to fetch, or give --all; `chiasm weights list` shows them")
    wanted = aliases or [
        part.alias for part in weights.listing() if part.kind is not weights.Kind.DATA
    ]
    console = Console(stderr=True)
    for alias in wanted:
        with console.status(f"fetching {alias}"):
            folder = weights.fetch(alias, verify=verify)
        typer.echo(f"{alias}  {folder}")


@app.command()
def path(alias: Annotated[str, typer.Argument(help="A part fetched earlier.")]) -> None:
    """Print the folder a fetched part is read from; never touches the network.

    Example: chiasm weights path smollm2-135m
    """
    from chiasm import weights

    typer.echo(weights.path(alias))

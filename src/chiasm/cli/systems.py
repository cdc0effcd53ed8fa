"""`chiasm systems`: the catalogue, filtered by kind, family, grade, facets or words."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from chiasm.catalogue.rows import Row

COLUMNS = ("no", "slug", "kind", "family", "grade")
Several = list[str] | None


def systems(
    words: Annotated[
        Several, typer.Argument(help="Only rows with these words in name, title or family.")
    ] = None,
    kind: Annotated[Several, typer.Option(help="Only this kind; repeat for several.")] = None,
    family: Annotated[Several, typer.Option(help="Only this family; repeat for several.")] = None,
    grade: Annotated[
        str | None, typer.Option(help="Only this grade; lawful+ is lawful and above.")
    ] = None,
    arch: Annotated[
        str | None, typer.Option(help="Architecture type A, B, C, D or O; short for a facet.")
    ] = None,
    efficiency: Annotated[
        str | None, typer.Option(help="Efficiency technique, such as moe; short for a facet.")
    ] = None,
    facet: Annotated[
        Several, typer.Option(metavar="NAME=VALUE", help="Any facet; repeat to narrow further.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
) -> None:
    """List the published systems that chiasm knows, each with the evidence it has earned.

    Example: chiasm systems --kind model --arch A --efficiency moe
    """
    from chiasm.catalogue.selection import select

    short = (("arch", arch), ("efficiency", efficiency))
    found = select(
        kinds=kind or (),
        families=family or (),
        at_grade=grade,
        facets=[*(f"{name}={value}" for name, value in short if value), *(facet or ())],
        words=words or (),
    )
    if not as_json and (arch or efficiency or facet):
        typer.echo(
            f"Facets are answered for {tagged()} systems; the others are left out.", err=True
        )
    if as_json:
        typer.echo(json.dumps([as_object(*pair) for pair in found], indent=2, ensure_ascii=False))
    elif sys.stdout.isatty():
        print_table(found)
    else:
        print_plain(found)


def tagged() -> int:
    """How many systems have answers to the facets."""
    from chiasm.catalogue.rows import rows

    return sum(bool(row.facets) for row in rows())


def as_object(row: "Row", grade: str) -> dict[str, object]:
    """What `--json` prints of one row."""
    return {
        "no": row.no,
        "slug": row.slug,
        "name": row.name,
        "kind": row.kind,
        "family": row.family,
        "grade": grade,
        "facets": {name: list(values) for name, values in row.facets.items()},
    }


def cells(row: "Row", grade: str) -> tuple[str, ...]:
    """The short columns of one row."""
    return str(row.no), row.slug, row.kind, row.family, grade


def print_table(found: list[tuple["Row", str]]) -> None:
    """For a terminal: columns that fit, long names wrapped."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in COLUMNS:
        table.add_column(column, justify="right" if column == "no" else "left", no_wrap=True)
    table.add_column("name")
    for row, grade in found:
        table.add_row(*map(Text, (*cells(row, grade), row.name)))
    console = Console()
    console.print(table)
    console.print(f"{len(found)} systems", style="dim")


def print_plain(found: list[tuple["Row", str]]) -> None:
    """For a pipe: aligned columns, one row a line, the title last, nothing cut."""
    lines = [(*COLUMNS, "title"), *((*cells(row, grade), row.title) for row, grade in found)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(COLUMNS))]
    for line in lines:
        start = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=False))
        typer.echo(f"{start}  {line[-1]}")

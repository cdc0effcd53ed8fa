"""`chiasm parity`: a folder in transformers and in chiasm, compared layer by layer."""

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from chiasm.hub.parity import Parity


def parity(
    what: Annotated[
        str, typer.Argument(metavar="FOLDER|SYSTEM", help="A transformers folder, or a system.")
    ],
    against: Annotated[
        Path | None, typer.Option(help="Another folder, which transformers opens instead.")
    ] = None,
    tolerance: Annotated[float, typer.Option(help="Largest difference that agrees.")] = 1e-4,
    seed: Annotated[int, typer.Option(help="Of inputs, and of a system's tiny model.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one object.")] = False,
) -> None:
    """Run the same random inputs through transformers' own class and through chiasm.

    Prints the first layer that differs by more than the tolerance, and the largest difference.
    Hidden states count in units of their largest magnitude, scores as they are. A system is
    compared on a random tiny model of the class that others wrote for it. Exit code 0 when the two
    agree, 1 when they differ.

    Example: chiasm parity llava-1.5
    """
    from chiasm.errors import Misuse
    from chiasm.hub.parity import compare
    from chiasm.weights import resolve
    from chiasm.weights.registry import PACKAGES

    if not 0 <= tolerance < float("inf"):
        raise Misuse(f"--tolerance {tolerance} is no largest difference; give 0 or more")
    if Path(what).expanduser().exists() or what in PACKAGES:
        found = [compare(resolve(what), against=against, tolerance=tolerance, seed=seed)]
    elif against is not None:
        raise Misuse(f"--against compares two folders, but {what!r} is none")
    else:
        found = of_system(what, tolerance, seed)
    first = next((one for one in found if one.first_differing_layer), found[-1])
    if as_json:
        typer.echo(json.dumps(first.as_object(), indent=2))
    else:
        for one in found:
            tell(one)
    raise typer.Exit(1 if first.first_differing_layer else 0)


def of_system(slug: str, tolerance: float, seed: int) -> "list[Parity]":
    """A random tiny folder of each class that the catalogue names for the system."""
    from dataclasses import replace

    from chiasm.hub.parity import compare
    from chiasm.hub.tiny import references, write

    found: list[Parity] = []
    for name in references(slug):
        with tempfile.TemporaryDirectory() as folder:
            write(name, Path(folder), seed)
            one = compare(Path(folder), tolerance=tolerance, seed=seed)
        found.append(replace(one, folder=slug))
    return found


def tell(found: "Parity") -> None:
    """One line of verdict, and a line a stage."""
    for stage in found.stages:
        typer.echo(f"  {stage.name:<16} {stage.difference:.2e}")
    where, most = found.first_differing_layer, f"largest difference {found.max_difference:.2e}"
    if where is None:
        typer.echo(f"{found.architecture}: agrees within {found.tolerance:g}; {most}")
    else:
        typer.echo(
            f"{found.architecture}: differs first at {where}, by more than {found.tolerance:g}; "
            f"{most}"
        )

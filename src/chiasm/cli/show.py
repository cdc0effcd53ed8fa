"""`chiasm show`: a system's eight answers, and what differs from its parent."""

import json
from typing import Annotated

import typer


def show(
    slug: Annotated[str, typer.Argument(metavar="SYSTEM", help="A system, such as saisa.")],
    scale: Annotated[str, typer.Option(help="nano, smol or paper.")] = "paper",
    as_json: Annotated[bool, typer.Option("--json", help="Print the answers as JSON.")] = False,
) -> None:
    """Print a system's card, its eight answers, and the difference from its parent.

    Example: chiasm show saisa --scale paper
    """
    from rich.console import Console

    from chiasm.catalogue.story import answers_of, changes_of, described
    from chiasm.spec import scale_named, system
    from chiasm.spec.embedder import check_slug, registered_embedders

    size = scale_named(scale)
    check_slug(slug)
    if slug in registered_embedders():
        from chiasm.embedders.showing import as_record, described_embedder

        of = registered_embedders()[slug]
        if as_json:
            typer.echo(json.dumps(as_record(of, size), indent=2, ensure_ascii=False))
            return
        page = Console(highlight=False, soft_wrap=True)
        for line in described_embedder(of, size):
            page.print(line)
        return
    found = system(slug)
    answers, changes = answers_of(found, size), changes_of(found, size)
    if as_json:
        record = {
            "slug": found.slug,
            "no": found.no,
            "parent": found.parent,
            "scale": size.value,
            "paper": found.card.paper,
            "claim": found.card.claim,
            "checks": list(found.card.checks),
            "answers": {line.name: line.value for line in answers},
            "differences": {name: {"parent": old, "here": new} for name, old, new in changes},
        }
        typer.echo(json.dumps(record, indent=2, ensure_ascii=False))
        return
    out = Console(highlight=False, soft_wrap=True)
    for line in described(found, size, answers, changes):
        out.print(line)

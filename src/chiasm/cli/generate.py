"""`chiasm generate`: a picture of what a prompt asks, drawn by a checkpoint."""

import json
from pathlib import Path
from typing import Annotated

import typer


def generate(
    checkpoint: Annotated[
        str, typer.Argument(help="A chiasm folder of a system that draws, such as bagel.")
    ],
    prompt: Annotated[str, typer.Argument(help="What to draw, in quotes.")],
    out: Annotated[Path, typer.Option(help="Picture file to write; several get numbers.")] = Path(
        "picture.png"
    ),
    image: Annotated[
        list[str] | None, typer.Option(help="An image to start from; repeat to show several.")
    ] = None,
    count: Annotated[int, typer.Option(help="How many pictures, from noise of their own.")] = 1,
    steps: Annotated[int, typer.Option(help="Steps from noise to picture.")] = 25,
    shift: Annotated[float, typer.Option(help="Above 1: smaller steps near time 1.")] = 1.0,
    guidance: Annotated[float, typer.Option(help="Guidance by the text; 1 is none.")] = 2.0,
    image_guidance: Annotated[float, typer.Option(help="Guidance by images; 1 is none.")] = 1.0,
    guided_above: Annotated[
        float, typer.Option(help="Share of noise above which steps are guided.")
    ] = 0.0,
    rescale: Annotated[
        str, typer.Option(help="Guided norms brought back: none, picture, row or text-row.")
    ] = "none",
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
) -> None:
    """Draw what a prompt asks for.

    Example: chiasm generate runs/bagel-nano "a red circle" --out circle.png
    """
    from chiasm.data.source import printable
    from chiasm.decoding import Drawing, Guidance, Rescale
    from chiasm.errors import Misuse

    if rescale not in tuple(Rescale):
        raise Misuse(f"--rescale {rescale}: choose {', '.join(Rescale)}")
    if out.suffix.lower() not in SUFFIXES:
        raise Misuse(f"{out}: end the name in {' or '.join(SUFFIXES)}")
    if not out.parent.is_dir():
        raise Misuse(f"{printable(str(out.parent))}: no such folder; make it or name another")
    how = Drawing(
        steps=steps,
        shift=shift,
        guidance=Guidance(
            text=guidance,
            image=image_guidance if image else 1.0,
            interval=(guided_above, 1.0),
            rescale=Rescale(rescale),
        ),
        seed=seed,
    )

    from chiasm.answering import Artist

    told: list[dict[str, object]] = []
    pictures = Artist.open(checkpoint).pictures(prompt, image or (), count=count, how=how)
    for number, picture in enumerate(pictures, 1):
        path = out if count == 1 else out.with_stem(f"{out.stem}-{number}")
        picture.save(path)
        told.append({"file": str(path), "prompt": prompt, "seed": seed, "steps": steps})
        if not as_json:
            typer.echo(f"{path}: {picture.width}x{picture.height} pixels")
    if as_json:
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))


SUFFIXES = (".png", ".jpg", ".webp")
"""Picture files that are written."""

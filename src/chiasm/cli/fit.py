"""`chiasm fit`: the largest batch, context, picture or number of pictures that a memory holds."""

import json
import re
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer

from chiasm.cli.cost import image_size

if TYPE_CHECKING:
    from chiasm.cost.fit import Fit
    from chiasm.cost.load import Load
    from chiasm.spec import Answers

UNITS = {
    **dict(zip(("B", "kB", "MB", "GB", "TB"), (1000**n for n in range(5)), strict=True)),
    **dict(zip(("KiB", "MiB", "GiB", "TiB"), (1024**n for n in range(1, 5)), strict=True)),
}
GIB = 1024**3


def fit(
    model: Annotated[str, typer.Argument(help="A system's slug, or a folder that chiasm loads.")],
    memory: Annotated[str, typer.Option(help="Such as 24GiB, 24GB or 8000MiB.")],
    scale: Annotated[str, typer.Option(help="nano, smol or paper; of a system.")] = "paper",
    solve: Annotated[
        str | None,
        typer.Option(help="batch, context, pixels or frames; default: all that apply."),
    ] = None,
    training: Annotated[
        bool, typer.Option("--training", help="A step of teaching, optimiser included.")
    ] = False,
    stage: Annotated[
        str | None, typer.Option(help="The stage that is taught; default: the last.")
    ] = None,
    batch: Annotated[int, typer.Option(help="Samples.")] = 1,
    text: Annotated[int, typer.Option(help="Text tokens of a sample's prompt.")] = 64,
    new: Annotated[int, typer.Option(help="Tokens of the answer, in the cache.")] = 128,
    frames: Annotated[int, typer.Option(help="Pictures of a sample, each an item.")] = 1,
    image: Annotated[str, typer.Option(metavar="HxW", help="Size of a picture.")] = "336x336",
    dtype: Annotated[
        str, typer.Option(help="bf16 or fp32; taught weights and moments are fp32 always.")
    ] = "bf16",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUE", help="Change an answer; repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print an object.")] = False,
) -> None:
    """Solve for what fits, before anything is allocated; other sizes stay as given.

    The peak is that of torch's allocator: weights, keys and values, activations, and gradients and
    moments when training. What a driver holds for itself comes on top.

    Example: chiasm fit llava-1.5 --memory 24GiB --solve batch
    """
    from chiasm.cost.fit import AXES
    from chiasm.cost.fit import fit as solved
    from chiasm.cost.load import Load
    from chiasm.errors import ChiasmError, Misuse
    from chiasm.spec.override import override

    limit = memory_bytes(memory)
    for name, value in (("batch", batch), ("text", text), ("new", new), ("frames", frames)):
        if value < 1:
            raise Misuse(f"--{name} is at least 1, not {value}")
    if dtype not in ("bf16", "fp32"):
        raise Misuse(f"no number type is called {dtype!r}; choose bf16, fp32")
    if stage is not None and not training:
        raise Misuse(f"--stage {stage} is taught only with --training")
    answers = override(_answers(model, scale), settings or [])
    size = image_size(image)
    load = Load(batch=batch, text=text, new=new, pictures=frames, image=size, dtype=dtype)
    if training:
        load = replace(load, stage=_stage(answers, stage))
    names = list(AXES) if solve is None else [solve]
    if solve is None:
        names = [name for name in names if AXES[name].applies(answers, load) is None]
    try:
        found = [solved(answers, load, limit, name) for name in names]
    except ValueError as error:
        raise Misuse(f"{model} has no such load: {error}") from error
    if all(each.largest is None for each in found):
        least = min(found, key=lambda each: each.peak_bytes)
        raise ChiasmError(
            f"{model} does not fit {memory}: at its smallest {least.axis} it needs "
            f"{least.peak_bytes / GIB:.3g} GiB, there are {limit / GIB:.3g} GiB; "
            + ("give more memory, another dtype or a smaller scale")
        )
    if as_json:
        typer.echo(json.dumps(_object(model, scale, limit, load, found), indent=2))
    else:
        _print(model, memory, load, found)


def memory_bytes(text: str) -> int:
    """`24GiB`, `24 GB`, `8000MiB` in bytes."""
    from chiasm.errors import Misuse

    found = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,9})?)\s*([KkMGT]?i?B)\s*", text)
    unit = found[2] if found else ""
    unit = {"KB": "kB", "kiB": "KiB"}.get(unit, unit)
    if found is None or unit not in UNITS or not (held := int(float(found[1]) * UNITS[unit])):
        raise Misuse(f"--memory {text}: write a size and its unit, such as 24GiB, 24GB or 8000MiB")
    return held


def _answers(model: str, scale: str) -> "Answers":
    from chiasm.cost.count import answers_at
    from chiasm.hub.read import answers_of
    from chiasm.spec import registered, system

    return answers_at(system(model), scale) if model in registered() else answers_of(model)


def _stage(answers: "Answers", name: str | None) -> object:
    from chiasm.errors import Misuse

    stages = {stage.name: stage for stage in answers.teaching.stages}
    if name is not None and name not in stages:
        raise Misuse(f"no stage is called {name!r}; choose {', '.join(stages)}")
    return answers.teaching.stages[-1] if name is None else stages[name]


def _object(
    model: str, scale: str, limit: int, load: "Load", found: list["Fit"]
) -> dict[str, object]:
    return {
        "model": model,
        "scale": scale,
        "memory_bytes": limit,
        "mode": "inference" if load.stage is None else "training",
        "stage": None if load.stage is None else load.stage.name,
        "dtype": load.dtype,
        "batch": load.batch,
        "text": load.text,
        "new": load.new,
        "frames": load.pictures,
        "image": list(load.image),
        "fits": [
            asdict(each) | {"bound_by": "model" if each.next_bytes is None else "memory"}
            for each in found
        ],
    }


def _print(model: str, memory: str, load: "Load", found: list["Fit"]) -> None:
    from rich.table import Table

    from chiasm.cli.console import console

    mode = "inference" if load.stage is None else f"training, stage {load.stage.name}"
    screen = console()
    screen.print(
        f"{model} in {memory}: {mode}, {load.dtype}; unless solved for: batch {load.batch}, "
        f"{load.text} text tokens, {load.new} new, {load.pictures} picture(s) of "
        f"{load.image[0]}x{load.image[1]}",
        markup=False,
    )
    table = Table(box=None, header_style="bold", padding=(0, 1, 0, 0))
    table.add_column("solve", no_wrap=True)
    for name in ("largest", "rows", "peak GiB", "next GiB", "bound by"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in found:
        fits = "none" if each.largest is None else f"{each.largest:,} {each.unit}"
        following = "-" if each.next_bytes is None else f"{each.next_bytes / GIB:.2f}"
        bound = "memory" if each.next_bytes is not None or each.largest is None else "the model"
        peak = f"{each.peak_bytes / GIB:.2f}"
        table.add_row(each.axis, fits, f"{each.rows:,}", peak, following, bound)
    screen.print(table)

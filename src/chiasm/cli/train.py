"""`chiasm train`: one system, one data set, one budget, one folder."""

from pathlib import Path
from typing import Annotated

import typer


def train(
    slug: Annotated[str, typer.Argument(metavar="SYSTEM", help="A system, such as llava-1.5.")],
    data: Annotated[
        str,
        typer.Option(help="A data set by name, several (stamps:4+easy-vqa), a .json or .jsonl."),
    ] = "easy-vqa",
    scale: Annotated[str, typer.Option(help="nano (from scratch) or smol (pretrained).")] = "nano",
    minutes: Annotated[
        float | None, typer.Option(help="Budget: minutes of steps, saving not counted.")
    ] = None,
    samples: Annotated[
        int | None, typer.Option(help="Budget: examples taught, repeats counted.")
    ] = None,
    flops: Annotated[
        float | None, typer.Option(help="Budget: FLOPs of forward and backward passes.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder of the run; runs/SYSTEM-SCALE if not given.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of weights and sample order.")] = 0,
    batch: Annotated[
        int | None, typer.Option(help="Examples a step; the system's own if not given.")
    ] = None,
    accumulate: Annotated[
        int, typer.Option(help="Compute a step's examples in this many pieces, to save memory.")
    ] = 1,
    precision: Annotated[
        str, typer.Option(help="auto, fp32 or bf16; auto is bf16 where hardware has it.")
    ] = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in the folder, exactly.")
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="A.B=VALUE", help="Change one answer; repeat for several."),
    ] = None,
    threads: Annotated[int | None, typer.Option(help="CPU threads.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    checkpoint_steps: Annotated[
        int, typer.Option(help="Save at least every so many steps (and every half minute).")
    ] = 1000,
) -> None:
    """Teach a system on data until a budget is spent; stop it and go on at any time.

    Example: chiasm train llava-1.5 --data easy-vqa --minutes 4 --out runs/llava
    """
    from chiasm.spec import scale_named, system
    from chiasm.spec.embedder import check_slug, registered_embedders
    from chiasm.training import Budget, Options
    from chiasm.training import train as run

    size = scale_named(scale)
    check_slug(slug)
    if slug in registered_embedders():
        from chiasm.embedders.running import teach
        from chiasm.errors import Misuse

        given = {"--set": settings, "--accumulate": accumulate > 1}
        for option, value in given.items():
            if value:
                raise Misuse(f"{slug} is an embedder, which {option} is not for; leave it out")
        folder = teach(
            slug,
            size,
            data,
            Budget(minutes=minutes, samples=samples, flops=flops),
            out or Path("runs", f"{slug}-{size}"),
            seed=seed,
            batch=batch,
            threads=threads,
            device=device,
            resume=resume,
            checkpoint_steps=checkpoint_steps,
        )
        typer.echo(f"{folder} is ready: chiasm.embedders.folder.open_folder opens it")
        return
    found = system(slug)
    folder = run(
        found,
        size,
        data,
        Budget(minutes=minutes, samples=samples, flops=flops),
        out or Path("runs", f"{found.slug}-{size}"),
        seed=seed,
        overrides=settings or (),
        options=Options(
            batch=batch,
            accumulate=accumulate,
            precision=precision,
            checkpoint_steps=checkpoint_steps,
        ),
        threads=threads,
        device=device,
        resume=resume,
    )
    typer.echo(f"{folder} is ready: chiasm ask {folder} PICTURE QUESTION")

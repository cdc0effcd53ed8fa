"""`chiasm compare`: systems taught alike, judged alike, in one table and one report."""

from pathlib import Path
from typing import Annotated

import typer


def compare(
    slugs: Annotated[list[str], typer.Argument(metavar="SYSTEM...", help="Systems to compare.")],
    data: Annotated[str, typer.Option(help="A packaged data set, or a JSON file of your own.")],
    test: Annotated[
        str | None, typer.Option(help="Held-out JSON file, when --data is a file of your own.")
    ] = None,
    scale: Annotated[str, typer.Option(help="nano or smol.")] = "nano",
    minutes: Annotated[float | None, typer.Option(help="Training minutes a system.")] = None,
    samples: Annotated[int | None, typer.Option(help="Training samples a system.")] = None,
    flops: Annotated[float | None, typer.Option(help="Training FLOPs a system.")] = None,
    budget: Annotated[
        str | None,
        typer.Option(help="What is held equal: minutes, samples or flops; must be the one given."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for checkpoints and report.")] = Path(
        "runs/compare"
    ),
    seed: Annotated[int, typer.Option(help="Seed of weights and data order.")] = 0,
    threads: Annotated[int | None, typer.Option(help="CPU threads; default: all.")] = None,
    limit: Annotated[int | None, typer.Option(help="Judge on so many test examples only.")] = None,
) -> None:
    """Teach systems the same data in the same order with the same budget, and judge them.

    Example: chiasm compare text-only llava-1.5 saisa --data easy-vqa --minutes 1.5 --out runs/demo
    """
    from chiasm.cli.console import console
    from chiasm.errors import Misuse
    from chiasm.evaluation.compare import Comparison, compare_systems
    from chiasm.evaluation.table import table
    from chiasm.spec import scale_named
    from chiasm.spec.embedder import check_slug, registered_embedders
    from chiasm.training import Budget

    given = {"minutes": minutes, "samples": samples, "flops": flops}
    named = [name for name, value in given.items() if value is not None]
    if len(named) != 1:
        raise Misuse(
            f"{' and '.join(named) or 'no budget'} given; hold one of --minutes, --samples, --flops"
        )
    if budget is not None and budget != named[0]:
        raise Misuse(f"--budget {budget} but --{named[0]} is given; give --{budget}")
    screen = console()
    for slug in slugs:
        check_slug(slug)
    of_search = [slug for slug in slugs if slug in registered_embedders()]
    if of_search and len(of_search) < len(slugs):
        others = [slug for slug in slugs if slug not in of_search]
        raise Misuse(
            f"{of_search[0]} is an embedder and {others[0]} answers questions; compare one kind"
        )
    if of_search:
        from rich.console import Console

        from chiasm.embedders import comparing

        embedders = comparing.EmbedderComparison(
            systems=tuple(slugs),
            scale=scale_named(scale),
            data=data,
            budget=Budget(minutes=minutes, samples=samples, flops=flops),
            seed=seed,
            threads=threads,
            limit=limit,
        )
        arms = comparing.compare_embedders(embedders, out, tell=screen.print)
        wide = Console(highlight=False, width=max(screen.width, 140))
        wide.print(comparing.table(arms), crop=False)
        screen.print(f"report: {out / comparing.REPORT}")
        return
    comparison = Comparison(
        systems=tuple(slugs),
        scale=scale_named(scale),
        data=data,
        test=test,
        budget=Budget(minutes=minutes, samples=samples, flops=flops),
        seed=seed,
        threads=threads,
        limit=limit,
    )
    results, majority = compare_systems(comparison, out, tell=screen.print)
    screen.print(table(results, majority), width=max(screen.width, 130), crop=False)
    screen.print("FLOPs, KV, ms, peak: one prefill of a test image and its first question.")
    screen.print(f"report: {out / 'report.html'}")

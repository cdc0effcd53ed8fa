"""`chiasm compress`: token reducers on one model, judged beside it and two controls."""

import json
from pathlib import Path
from typing import Annotated

import typer

WIDE = 200
"""Columns that a table takes, however narrow the terminal is."""


def compress(
    model: Annotated[
        str, typer.Argument(help="A run of `chiasm train`, a transformers folder, or an alias.")
    ],
    data: Annotated[
        str, typer.Option(help="A packaged data set (its test split), or a .json or .jsonl.")
    ],
    methods: Annotated[str, typer.Option(help="all, or names between commas.")] = "all",
    keep: Annotated[
        str, typer.Option(help="Shares of visual tokens alive, mean over layers.")
    ] = "0.5,0.25,0.1",
    out: Annotated[Path, typer.Option(help="Folder of the report.")] = Path("runs/compressed"),
    seed: Annotated[int, typer.Option(help="Of the methods that draw, `random` first.")] = 0,
    limit: Annotated[int | None, typer.Option(help="Ask about so many examples only.")] = None,
    times: Annotated[
        bool, typer.Option("--times/--no-times", help="Whether prefill and decoding are timed.")
    ] = True,
    repeats: Annotated[int, typer.Option(min=1, help="Measured turns of each method.")] = 15,
    decode: Annotated[int, typer.Option(help="Tokens decoded in a measured turn.")] = 8,
    max_new: Annotated[int, typer.Option(help="Longest answer, in tokens.")] = 8,
    batch: Annotated[int, typer.Option(help="Questions asked at once.")] = 32,
    threads: Annotated[int | None, typer.Option(help="CPU threads; default: all.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the record.")] = False,
) -> None:
    """Take visual tokens out by published methods: one table a budget, each beside the full model.

    Example: chiasm compress runs/llava --methods all --data easy-vqa --keep 0.5,0.25,0.1
    """
    from chiasm.cli.console import console
    from chiasm.errors import Misuse
    from chiasm.evaluation.plots import require_matplotlib
    from chiasm.evaluation.trial import Trial, method_names, shares

    require_matplotlib()
    trial = Trial(
        checkpoint=model,
        methods=method_names(methods),
        keeps=shares(keep),
        data=data,
        seed=seed,
        limit=limit,
        max_new=max_new,
        batch=batch,
        repeats=repeats if times else 0,
        decode=decode,
    )
    if out.exists() and any(out.iterdir()):
        raise Misuse(f"{out} is not empty; choose another --out, or remove it")

    import torch
    from rich.console import Console

    from chiasm.evaluation.compressed import try_methods
    from chiasm.evaluation.compressed_report import CONVENTIONS, table, write

    if threads is not None:
        torch.set_num_threads(threads)
    screen = Console(highlight=False, width=max(console().width, WIDE))
    trials = try_methods(trial, tell=lambda line: typer.echo(line, err=True))
    made = write(trial, trials, out)
    if as_json:
        typer.echo(json.dumps(made, indent=2))
        return
    for share in trial.keeps:
        screen.print(table(trials, share))
    screen.print(CONVENTIONS, style="dim")
    screen.print(f"report: {out / 'report.html'}")

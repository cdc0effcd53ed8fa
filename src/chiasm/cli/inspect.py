"""`chiasm inspect`: into a model that answers: heads, concepts, stages, shots, and A and C."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from chiasm.inspection.report import Report

app = typer.Typer(
    help="Look into a model: its heads, concepts, stages, use of shots; an encoder's A and C.",
    no_args_is_help=True,
)

Model = Annotated[
    str, typer.Argument(metavar="MODEL", help="A chiasm or LLaVA-type folder, or an alias.")
]
Data = Annotated[str, typer.Option(help="A data set's name, or a .json or .jsonl of your own.")]
Limit = Annotated[int | None, typer.Option(min=2, help="Ask so many questions only.")]
Seed = Annotated[int, typer.Option(min=0, help="Of what is drawn.")]
Out = Annotated[Path | None, typer.Option(help="Folder for a page, its pictures and the record.")]
Json = Annotated[bool, typer.Option("--json", help="Print the record.")]
Threads = Annotated[int | None, typer.Option(help="CPU threads; default: all.")]


@app.command()
def heads(
    model: Model,
    data: Data = "easy-vqa",
    limit: Limit = 200,
    top: Annotated[
        int | None, typer.Option(min=1, help="How many heads are the top; an eighth if not given.")
    ] = None,
    other: Annotated[
        str | None, typer.Option(help="Another data set, on whose heads agreement is measured.")
    ] = None,
    silence: Annotated[
        bool, typer.Option("--silence/--no-silence", help="Ask again with heads silenced.")
    ] = True,
    seed: Seed = 0,
    out: Out = None,
    as_json: Json = False,
    threads: Threads = None,
) -> None:
    """Which attention heads look at the picture, how narrowly, and what goes wrong without them.

    Example: chiasm inspect heads runs/llava --data easy-vqa --out runs/heads
    """

    def made() -> "Report":
        from chiasm.inspection.findings import heads_report
        from chiasm.inspection.subject import Subject

        subject = Subject.open(model, data, limit=limit)
        second = None if other is None else Subject.open(model, other, limit=limit)
        return heads_report(subject, second, top, silence=silence, seed=seed)

    _tell(made, data, seed, out, as_json, threads)


@app.command()
def concepts(
    model: Model,
    data: Data = "scenes-captions",
    word: Annotated[
        str | None, typer.Option(help="The word that is said; the answers' commonest if not given.")
    ] = None,
    atoms: Annotated[int, typer.Option(min=1, help="Atoms of the dictionary.")] = 20,
    penalty: Annotated[float, typer.Option(min=0.0, help="On the sum of activations.")] = 1.0,
    layer: Annotated[
        int | None, typer.Option(min=0, help="Behind so many layers; all but the last by default.")
    ] = None,
    words: Annotated[int, typer.Option(min=1, help="Words an atom.")] = 15,
    limit: Limit = 400,
    max_new: Annotated[int, typer.Option(min=1, help="Longest answer, in tokens.")] = 40,
    seed: Seed = 0,
    out: Out = None,
    as_json: Json = False,
    threads: Threads = None,
) -> None:
    """What a model holds in mind where it says a word, as atoms in words and pictures.

    Example: chiasm inspect concepts runs/captions --data scenes-captions --word red --out runs/red
    """

    def made() -> "Report":
        from chiasm.inspection.concept_report import concept_report
        from chiasm.inspection.subject import Subject

        subject = Subject.open(model, data, limit=limit)
        return concept_report(
            subject,
            word,
            atoms=atoms,
            penalty=penalty,
            layer=layer,
            most=words,
            max_new=max_new,
            seed=seed,
        )

    _tell(made, data, seed, out, as_json, threads)


@app.command()
def probe(
    model: Model,
    data: Data = "easy-vqa",
    question: Annotated[
        list[str] | None,
        typer.Option(help="A question that many pictures are asked; repeat for several."),
    ] = None,
    limit: Limit = 300,
    taught: Annotated[int, typer.Option(min=2, help="Pictures that readouts learn from.")] = 600,
    seed: Seed = 0,
    out: Out = None,
    as_json: Json = False,
    threads: Threads = None,
) -> None:
    """What each stage's features tell of a question, beside what the model answers.

    Example: chiasm inspect probe runs/llava --data easy-vqa --out runs/probe
    """

    def made() -> "Report":
        from chiasm.answering import Asker
        from chiasm.errors import Misuse
        from chiasm.inspection.findings import probe_report
        from chiasm.inspection.probe import about, probe, repeated
        from chiasm.inspection.subject import Subject, parted, some

        known, asked = parted(data)
        questions = question or repeated(known, 50)[:3]
        if not questions:
            raise Misuse(f"{data} asks no question of 50 pictures or more; name one of your own")
        asker = Asker.open(model)
        found = []
        for one in questions:
            learn, judge = about(known, one), about(asked, one)
            if len(learn) < 2 or len(judge) < 2:
                raise Misuse(
                    f"{len(learn)} and {len(judge)} pictures are asked {one!r}; ask others"
                )
            subject = Subject(asker, some(judge, limit)).checked()
            found.append(probe(subject.among(some(learn, taught)), subject, seed=seed))
        return probe_report(asker.checkpoint.folder.name, found)

    _tell(made, data, seed, out, as_json, threads)


@app.command()
def shots(
    model: Model,
    data: Data = "easy-vqa",
    k: Annotated[
        str, typer.Option("-k", "--shots", help="Numbers of shots, between commas.")
    ] = "0,4",
    by: Annotated[
        str, typer.Option(help="How shots are chosen: random, picture, words, both.")
    ] = "random,both",
    limit: Limit = 100,
    pool: Annotated[int, typer.Option(min=2, help="Examples that shots are chosen from.")] = 300,
    seed: Seed = 0,
    out: Out = None,
    as_json: Json = False,
    threads: Threads = None,
) -> None:
    """What a model takes from examples in its prompt: prompts corrupted in one thing at a time.

    Example: chiasm inspect shots runs/llava --data easy-vqa -k 0,4,8 --out runs/shots
    """

    def made() -> "Report":
        from chiasm.answering import Asker
        from chiasm.errors import Misuse
        from chiasm.inspection.findings import shots_report
        from chiasm.inspection.shots import try_shots
        from chiasm.inspection.subject import Subject, parted, some

        try:
            numbers = [int(one) for one in k.split(",")]
        except ValueError:
            raise Misuse(f"-k {k}: write numbers between commas, such as 0,4,8") from None
        known, asked = parted(data)
        asker = Asker.open(model)
        found = try_shots(
            Subject(asker, some(asked, limit)).checked(),
            some(known, pool),
            ks=numbers,
            selections=[one.strip() for one in by.split(",")],
            seed=seed,
        )
        return shots_report(asker.checkpoint.folder.name, found)

    _tell(made, data, seed, out, as_json, threads)


@app.command()
def law(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help="Models to compare.")],
    reference: Annotated[
        list[str], typer.Option(help="A model whose picture tokens are aligned to; repeatable.")
    ],
    data: Data = "easy-vqa",
    limit: Limit = 100,
    pairs: Annotated[int, typer.Option(min=1, help="Pairs of scenes that are matched.")] = 100,
    score: Annotated[
        list[float] | None, typer.Option(help="A model's known score, in the models' order.")
    ] = None,
    ridge: Annotated[float, typer.Option(min=0.0, help="Of the law's weights.")] = 1e-3,
    seed: Seed = 0,
    out: Out = None,
    as_json: Json = False,
    threads: Threads = None,
) -> None:
    """Alignment and correspondence, by which encoders are ranked before a language model is taught.

    All models, and the references, must lead into one language model's space.

    Example: chiasm inspect law runs/a runs/b --reference runs/clip --data easy-vqa
    """

    def made() -> "Report":
        from chiasm.errors import Misuse
        from chiasm.inspection.findings import law_report
        from chiasm.inspection.subject import Subject

        if score and (len(score) != len(models) or len(score) < 3):
            raise Misuse(
                f"{len(score)} scores of {len(models)} models; give one each, of 3 or more"
            )
        one_each = [Subject.open(name, data, limit=limit) for name in models]
        targets = [Subject.open(name, data, limit=limit) for name in reference]
        return law_report(one_each, targets, score or (), pairs=pairs, ridge=ridge, seed=seed)

    _tell(made, data, seed, out, as_json, threads)


def _tell(
    make: "Callable[[], Report]",
    data: str,
    seed: int,
    out: Path | None,
    as_json: bool,
    threads: int | None,
) -> None:
    """Make a report and tell it: tables or JSON, and a folder if one is named."""
    from chiasm.cli.console import console
    from chiasm.errors import Misuse
    from chiasm.evaluation.plots import require_matplotlib

    if out is not None:
        require_matplotlib()
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise Misuse(f"{out} is not an empty folder; choose another --out, or remove it")

    import sys

    import torch

    from chiasm.catalogue.provenance import commit, machine, shareable
    from chiasm.inspection.report import show, write

    if threads is not None:
        torch.set_num_threads(threads)
    report = make()
    if as_json:
        typer.echo(json.dumps(report.record, indent=2))
    else:
        show(report, console())
    if out is None:
        return
    facts = {
        "command": shareable(["chiasm", *sys.argv[1:]], Path.cwd()),
        "data": Path(data).name,
        "seed": str(seed),
        "commit": commit(Path.cwd())[0],
        "machine": f"{machine()}, {torch.get_num_threads()} threads",
    }
    typer.echo(f"report: {write(report, out, facts)}", err=True)

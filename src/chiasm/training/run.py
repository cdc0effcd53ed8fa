"""A whole run, from a system and data to a checkpoint folder."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from chiasm.data import Dataset, load
from chiasm.data.collate import Collator
from chiasm.errors import Misuse
from chiasm.hub import save
from chiasm.spec import System, scale_named
from chiasm.spec import system as by_slug
from chiasm.training.budget import Budget
from chiasm.training.display import Display, default
from chiasm.training.loop import Options, Trainer
from chiasm.training.prepare import Prepared, prepare
from chiasm.training.record import Export, carry_out, read


def train(
    system: System | str,
    scale: str,
    data: Dataset | str,
    budget: Budget,
    out: Path | str,
    *,
    seed: int = 0,
    overrides: Sequence[str] = (),
    options: Options | None = None,
    threads: int | None = None,
    device: str = "auto",
    resume: bool = False,
    display: Display | None = None,
) -> Path:
    """Teach a system and leave a checkpoint that `chiasm.load` opens; returns its folder, `out`.

    `data` is a data set or the name of one, `overrides` are `a.b=value` settings of the answers,
    `threads` the CPU threads used (None: as torch has it set), `display` what shows the progress
    (None: a bar on a terminal, lines elsewhere). `out` also holds `metrics.jsonl` and
    `run.json` (settings; once finished, steps, samples and seconds). With `resume`, a run that was
    stopped or killed goes on exactly; a finished one is left as it is. Without, an `out` that is
    not empty is refused. Raises Interrupted after SIGINT or SIGTERM, Misuse for settings that
    differ from those the folder began with.
    """
    chosen = by_slug(system) if isinstance(system, str) else system
    options, display, out = options or Options(), display or default(), Path(out)
    dataset = load(data) if isinstance(data, str) else data
    if threads is not None:
        if threads < 1:
            raise Misuse(f"threads is at least 1, not {threads}")
        torch.set_num_threads(threads)
    settings = {
        "system": chosen.slug,
        "scale": str(scale_named(scale)),
        "data": Path(dataset.name).name,
        "data_sha256": _digest(dataset),
        "seed": seed,
        "budget": budget.entries(),
        "batch": options.batch,
        "accumulate": options.accumulate,
        "precision": options.precision,
        "overrides": list(overrides),
    }

    def begin() -> tuple[Trainer, Export]:
        ready = prepare(
            chosen, scale, dataset, seed, overrides=overrides, device=device_named(device)
        )
        trainer = Trainer(
            ready.model,
            dataset,
            Collator(ready.model.answers, ready.template, ready.tokenizer),
            budget=budget,
            out=out,
            seed=seed,
            options=options,
            display=display,
        )
        return trainer, lambda: _export(ready, out, settings, _result(trainer))

    carry_out(out, settings, begin, resume=resume, display=display)
    return out


def result(out: Path | str) -> dict[str, Any] | None:
    """What `run.json` says of a finished run: steps, samples, seconds, precision, threads."""
    return read(Path(out)).get("result")


def _export(
    ready: Prepared, out: Path, settings: dict[str, Any], taught: dict[str, Any]
) -> dict[str, Any]:
    """The model as it is now, as a checkpoint folder that says what it was taught; returns that."""
    save(
        ready.model,
        out,
        slug=settings["system"],
        scale=settings["scale"],
        tokenizer=ready.tokenizer,
        template=ready.template,
        extra={"training": settings | taught},
    )
    return taught


def _result(trainer: Trainer) -> dict[str, Any]:
    end = trainer.position
    return {
        "steps": end.step,
        "samples": end.samples,
        "seconds": end.seconds,
        "samples_per_second": end.samples / end.seconds if end.seconds else None,
        "computed_in": trainer.precision,
        "threads": end.threads,
        "device": str(trainer.model.device),
        "torch": torch.__version__,
    }


def device_named(device: str) -> torch.device:
    """`auto` (a GPU where there is one), `cpu` or `cuda`; Misuse for anything else."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except RuntimeError:
        raise Misuse(f"no device is called {device!r}; choose auto, cpu or cuda") from None
    if found.type == "cuda" and not torch.cuda.is_available():
        raise Misuse(f"{device}: torch sees no GPU here; choose --device cpu")
    return found


def _digest(dataset: Dataset) -> str:
    """SHA-256 of all that the examples say, their ids and numbers of images."""
    sha = hashlib.sha256()
    for example in dataset:
        said = (example.id, len(example.images), example.independent, example.system)
        turns: Iterable[tuple[Any, ...]] = (
            (turn.question, turn.answer, turn.places)
            if turn.picture is None
            else (turn.question, turn.answer, turn.places, "picture")
            for turn in example.turns
        )
        sha.update(repr((said, tuple(turns))).encode(errors="surrogatepass"))
    return sha.hexdigest()

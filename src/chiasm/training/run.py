"""A whole run in one folder: prepare, teach, export, and refuse what would mix two runs."""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout

from chiasm.data import Dataset, load
from chiasm.data.collate import Collator
from chiasm.errors import ChiasmError, Misuse
from chiasm.hub.tensors import unique_state, write_tensors
from chiasm.spec import Scale, System, scale_named
from chiasm.spec import system as by_slug
from chiasm.training import state as states
from chiasm.training.budget import Budget
from chiasm.training.display import Display, Silent
from chiasm.training.interrupt import Interrupted
from chiasm.training.loop import Options, Trainer
from chiasm.training.prepare import Prepared, prepare
from chiasm.training.state import Position

FILE = "run.json"
_LOCK = ".lock"


def train(
    system: System | str,
    *,
    scale: str = Scale.NANO,
    data: Dataset | str = "easy-vqa",
    budget: Budget,
    out: Path | str,
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
    `threads` the CPU threads used (None: torch's own choice). `out` also holds `metrics.jsonl` and
    `run.json` (settings; once finished, steps, samples and seconds). With `resume`, a run that was
    stopped or killed goes on exactly; a finished one is left as it is. Without, an `out` that is
    not empty is refused. Raises Interrupted after SIGINT or SIGTERM, Misuse for settings that
    differ from those the folder began with.
    """
    chosen = by_slug(system) if isinstance(system, str) else system
    options, display, out = options or Options(), display or Silent(), Path(out)
    dataset = load(data) if isinstance(data, str) else data
    if threads is not None:
        if threads < 1:
            raise Misuse(f"threads is at least 1, not {threads}")
        torch.set_num_threads(threads)
    settings = {
        "system": chosen.slug,
        "scale": str(scale_named(scale)),
        "data": dataset.name,
        "data_sha256": _digest(dataset),
        "seed": seed,
        "budget": budget.entries(),
        "batch": options.batch,
        "accumulate": options.accumulate,
        "precision": options.precision,
        "overrides": list(overrides),
    }
    with _claimed(out):
        if _begun(out, settings, resume, display):
            return out
        ready = prepare(chosen, scale, dataset, seed, overrides=overrides, device=_device(device))
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
        try:
            end = trainer.run()
        except Interrupted:
            _export(ready, out, chosen.slug, scale, trainer.position)
            raise
        _export(ready, out, chosen.slug, scale, end)
        _write(out, {"settings": settings, "result": _result(trainer, end)})
        states.forget(out)
    return out


def result(out: Path | str) -> dict[str, Any] | None:
    """What `run.json` says of a finished run: steps, samples, seconds, precision, threads."""
    return _read(Path(out)).get("result")


class _claimed:
    """Holds the run's folder, so that two processes never write into it at once."""

    def __init__(self, out: Path) -> None:
        self._out = out

    def __enter__(self) -> None:
        if self._out.exists() and not self._out.is_dir():
            raise Misuse(f"{self._out} is a file; name a folder with --out")
        self._out.mkdir(parents=True, exist_ok=True)
        self._lock = FileLock(self._out / _LOCK)
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            raise Misuse(f"{self._out}: another process is training here; wait for it") from None

    def __exit__(self, *_: object) -> None:
        self._lock.release()


def _begun(out: Path, settings: dict[str, Any], resume: bool, display: Display) -> bool:
    """Write or compare the run's settings; True when the run is finished already."""
    held = [path.name for path in out.iterdir() if path.name != _LOCK]
    if not held:
        if resume:
            display.note(f"nothing to resume in {out}: starting from the beginning")
        _write(out, {"settings": settings})
        return False
    if not resume:
        raise Misuse(f"{out} is not empty; give --resume to go on with it, or another --out")
    before = _read(out)
    for name, value in settings.items():
        if (began := before["settings"].get(name)) != value:
            raise Misuse(
                f"{out} was begun with {name} {_short(began)}, not {_short(value)}; "
                f"resume with the same, or give another --out"
            )
    if "result" in before:
        display.note(f"{out} is finished: {before['result']['steps']} steps were taught")
        return True
    return False


def _export(ready: Prepared, out: Path, slug: str, scale: str, position: Position) -> None:
    """The model as a checkpoint folder, with what it was taught."""
    write_tensors(unique_state(ready.model), out / "model.safetensors")
    ready.tokenizer.save_pretrained(out)
    ready.template.save(out)


def _result(trainer: Trainer, end: Position) -> dict[str, Any]:
    return {
        "steps": end.step,
        "samples": end.samples,
        "seconds": end.seconds,
        "samples_per_second": end.samples / end.seconds if end.seconds else None,
        "precision": trainer.precision,
        "threads": end.threads,
        "device": str(trainer.model.device),
        "torch": torch.__version__,
    }


def _device(device: str) -> torch.device:
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
            (turn.question, turn.answer, turn.places) for turn in example.turns
        )
        sha.update(repr((said, tuple(turns))).encode(errors="surrogatepass"))
    return sha.hexdigest()


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _read(out: Path) -> dict[str, Any]:
    try:
        found = json.loads((out / FILE).read_text(encoding="utf-8"))
        found["settings"], found.get("result")
    except FileNotFoundError:
        raise Misuse(f"{out} holds no run to resume ({FILE} is missing); check --out") from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ChiasmError(f"{out / FILE}: cannot be read ({error}); start the run anew") from None
    return found


def _write(out: Path, entries: dict[str, Any]) -> None:
    new = out / f".{FILE}.new"
    new.write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    os.replace(new, out / FILE)

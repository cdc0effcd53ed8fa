"""The folder of a run: what it was begun with, what came of it, and who is writing in it."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from filelock import FileLock, Timeout

from chiasm.errors import ChiasmError, Misuse
from chiasm.training import metrics as curves
from chiasm.training import state as states
from chiasm.training.display import Display
from chiasm.training.interrupt import Interrupted

FILE = "run.json"
_NEW, _LOCK = f".{FILE}.new", ".lock"


@contextmanager
def claimed(out: Path) -> Iterator[None]:
    """Hold the folder, made if need be, so that two processes never write into it at once.

    A folder in which nothing was left is removed again.
    """
    if out.exists() and not out.is_dir():
        raise Misuse(f"{out} is a file; name a folder with --out")
    out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / _LOCK)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise Misuse(f"{out}: another process is training here; wait until it ends") from None
    try:
        yield
    finally:
        (out / _LOCK).unlink(missing_ok=True)
        lock.release()
        if not any(out.iterdir()):
            out.rmdir()


def finished(out: Path, settings: Mapping[str, Any], resume: bool, display: Display) -> bool:
    """Whether the folder's run is over.

    Raises Misuse if the folder may not be begun in (it holds something), or not be gone on with
    (it holds no run, or one that was begun with other settings).
    """
    if all(path.name in (_LOCK, _NEW) for path in out.iterdir()):
        if resume:
            display.note(f"nothing to resume in {out}: starting from the beginning")
        return False
    if not resume:
        raise Misuse(f"{out} is not empty; give --resume to go on with it, or another --out")
    before = read(out)
    for name, value in settings.items():
        if (began := before["settings"].get(name)) != value:
            raise Misuse(
                f"{out} was begun with {name} {_short(began)}, not {_short(value)}; "
                f"resume with the same, or give another --out"
            )
    if "result" in before:
        display.note(f"{out} is finished: {before['result']['steps']:,} steps were taught")
        states.forget(out)
        return True
    return False


class Run(Protocol):
    """What teaches, and where it stands."""

    position: states.Position

    def run(self) -> object: ...


Export = Callable[[], dict[str, Any]]
"""Leaves what is taught so far as a folder that opens; returns what `run.json` is to say of it."""


def carry_out(
    out: Path,
    settings: Mapping[str, Any],
    begin: Callable[[], tuple[Run, Export]],
    *,
    resume: bool,
    display: Display,
) -> None:
    """A run from its first step, or from its newest state, to its end; a finished one is left.

    Raises:
        Misuse: as `claimed` and `finished`.
        Interrupted: after a signal; what is taught so far is exported.
        ChiasmError: teaching failed; before the first step nothing is left of the run.
    """
    with claimed(out):
        if finished(out, settings, resume, display):
            return
        run, export = begin()
        write(out, {"settings": settings})
        try:
            run.run()
        except Interrupted:
            export()
            raise
        except ChiasmError:
            if run.position.step == 0:
                abandon(out)
            raise
        write(out, {"settings": settings, "result": export()})
        states.forget(out)


def abandon(out: Path) -> None:
    """Take back a run that failed before its first step, so that it can be begun again."""
    for name in (FILE, curves.FILE):
        (out / name).unlink(missing_ok=True)


def read(out: Path) -> dict[str, Any]:
    """`settings`, and `result` once the run is finished."""
    try:
        found = json.loads((out / FILE).read_text(encoding="utf-8"))
        if not isinstance(found["settings"], dict):
            raise ValueError("its settings are not an object")
    except FileNotFoundError:
        raise Misuse(f"{out} holds no run ({FILE} is missing); check the folder's name") from None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ChiasmError(f"{out / FILE}: cannot be read ({error}); start the run anew") from None
    return found


def write(out: Path, entries: Mapping[str, Any]) -> None:
    """Replace the record, atomically."""
    (out / _NEW).write_text(json.dumps(entries, indent=2) + "\n", encoding="utf-8")
    os.replace(out / _NEW, out / FILE)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 80 else f"{text[:77]}..."

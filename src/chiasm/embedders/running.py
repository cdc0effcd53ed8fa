"""A whole run: from an embedder's values and pairs to a folder that opens again."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from chiasm.embedders.building import prepare
from chiasm.embedders.folder import save
from chiasm.embedders.pairs import PairLike, pairs_named
from chiasm.embedders.remembered import all_read
from chiasm.embedders.teaching import MINED, Teacher
from chiasm.errors import Misuse
from chiasm.spec import Scale, scale_named
from chiasm.spec.embedder import EmbedderSystem, embedder_system
from chiasm.training.budget import Budget
from chiasm.training.display import Display, default
from chiasm.training.record import Export, carry_out
from chiasm.training.run import device_named


def teach(
    system: EmbedderSystem | str,
    scale: Scale | str,
    pairs: Sequence[PairLike] | str,
    budget: Budget,
    out: Path | str,
    *,
    seed: int = 0,
    batch: int | None = None,
    threads: int | None = None,
    device: str = "auto",
    resume: bool = False,
    checkpoint_steps: int = 1000,
    display: Display | None = None,
) -> Path:
    """Teach an embedder and leave a folder that `chiasm.embedders.folder.open_folder` opens.

    With `resume`, a run that was stopped or killed goes on (see `Teacher.run`); a finished one is
    left as it is.

    Raises:
        Misuse: the paper scale, a folder that holds something, a resumed run that was begun with
            other settings, or unknown data.
        Interrupted: after SIGINT or SIGTERM.
    """
    chosen = embedder_system(system) if isinstance(system, str) else system
    size, out = scale_named(str(scale)), Path(out)
    display = default() if display is None else display
    if size is Scale.PAPER:
        raise Misuse("the paper scale is for counting; teach at nano or smol")
    if threads is not None:
        torch.set_num_threads(threads)
    held = all_read(pairs_named(pairs, "train")) if isinstance(pairs, str) else pairs
    settings = {
        "system": chosen.slug,
        "scale": size.value,
        "data": pairs if isinstance(pairs, str) else None,
        "data_sha256": _digest(held),
        "pairs": len(held),
        "seed": seed,
        "budget": budget.entries(),
        "batch": batch,
    }

    def begin() -> tuple[Teacher, Export]:
        texts = [text for pair in held for text in pair.texts]
        answers = chosen.at(size)
        texts += [task.instruction for task in answers.batches.tasks]
        embedder = prepare(answers, texts, seed, device_named(device))
        teacher = Teacher(
            embedder=embedder,
            pairs=held,
            budget=budget,
            out=out,
            seed=seed,
            batch=batch,
            display=display,
            checkpoint_steps=checkpoint_steps,
        )
        return teacher, lambda: _export(teacher, settings)

    carry_out(out, settings, begin, resume=resume, display=display)
    for path in out.glob(MINED.format("*")):
        path.unlink()
    return out


def _export(teacher: Teacher, settings: dict[str, Any]) -> dict[str, Any]:
    """The embedder as it is now, as a folder that says what it was taught; returns that."""
    end = teacher.position
    taught = {"steps": end.step, "samples": end.samples, "seconds": end.seconds}
    save(
        teacher.embedder,
        teacher.out,
        slug=settings["system"],
        scale=settings["scale"],
        extra=settings | taught,
    )
    return taught


def _digest(pairs: Sequence[PairLike]) -> str:
    """SHA-256 of what the pairs are called and what is said of them."""
    sha = hashlib.sha256()
    for pair in pairs:
        sha.update(repr((pair.id, pair.concept, pair.texts)).encode(errors="surrogatepass"))
    return sha.hexdigest()

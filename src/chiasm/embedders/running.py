"""A whole run: from an embedder's values and pairs to a folder that opens again."""

from collections.abc import Sequence
from pathlib import Path

import torch

from chiasm.embedders.building import prepare
from chiasm.embedders.folder import save
from chiasm.embedders.pairs import PairLike, pairs_named
from chiasm.embedders.remembered import all_read
from chiasm.embedders.teaching import Teacher
from chiasm.errors import Misuse
from chiasm.spec import Scale, scale_named
from chiasm.spec.embedder import EmbedderSystem, embedder_system
from chiasm.training.budget import Budget
from chiasm.training.display import Display, default
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
    display: Display | None = None,
) -> Path:
    """Teach an embedder and leave a folder that `chiasm.embedders.folder.open_folder` opens.

    Raises:
        Misuse: the paper scale, a folder that holds something, or unknown data.
    """
    chosen = embedder_system(system) if isinstance(system, str) else system
    size, out = scale_named(str(scale)), Path(out)
    if size is Scale.PAPER:
        raise Misuse("the paper scale is for counting; teach at nano or smol")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Misuse(f"{out} is not empty; choose another --out, or remove it")
    if threads is not None:
        torch.set_num_threads(threads)
    named = pairs if isinstance(pairs, str) else None
    held = all_read(pairs_named(pairs, "train")) if isinstance(pairs, str) else pairs
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
        display=default() if display is None else display,
    )
    teacher.run()
    told = {
        "data": named,
        "pairs": len(held),
        "budget": budget.entries(),
        "seed": seed,
        "steps": teacher.steps,
        "samples": teacher.samples,
        "seconds": teacher.seconds,
    }
    return save(embedder, out, slug=chosen.slug, scale=size.value, extra=told)

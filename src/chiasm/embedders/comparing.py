"""Embedders side by side: the same pairs in the same order, the same budget, the same judge."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.box import SIMPLE_HEAD
from rich.table import Table

from chiasm.catalogue.provenance import machine, shareable
from chiasm.embedders.folder import open_folder
from chiasm.embedders.judging import DEPTHS, Judged, judge
from chiasm.embedders.pairs import PairLike, pairs_named
from chiasm.embedders.remembered import all_read
from chiasm.embedders.running import teach
from chiasm.errors import Misuse
from chiasm.evaluation.committed_files import write
from chiasm.evaluation.table import scaled
from chiasm.spec import Scale
from chiasm.spec.embedder import embedder_system
from chiasm.training.budget import Budget
from chiasm.training.display import Silent

Tell = Callable[[str], object]
REPORT = "report.json"
HEAD = (
    "system",
    "asked",
    *(f"R@{depth}" for depth in DEPTHS),
    "95% of R@10",
    "bytes/item",
    "index ms",
    "query ms",
    "parameters",
    "samples/s",
)


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One embedder as it was found."""

    slug: str
    judged: tuple[Judged, ...]
    parameters: int
    samples: int
    seconds: float

    def entries(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "system": self.slug,
            "parameters": self.parameters,
            "samples": self.samples,
            "seconds": self.seconds,
            "judged": [one.entries() for one in self.judged],
        }


@dataclass(frozen=True, kw_only=True)
class EmbedderComparison:
    """What is compared, and what is held equal."""

    systems: tuple[str, ...]
    scale: Scale
    data: str
    budget: Budget
    seed: int = 0
    threads: int | None = None
    limit: int | None = None

    def __post_init__(self) -> None:
        for slug in self.systems:
            embedder_system(slug)
        twice = {slug for slug in self.systems if self.systems.count(slug) > 1}
        if twice:
            raise Misuse(f"{', '.join(sorted(twice))} named twice; name each system once")
        if self.scale is Scale.PAPER:
            raise Misuse("paper scale is counted, not trained; compare at nano or smol")
        if self.limit is not None and self.limit < 2:
            raise Misuse(f"--limit {self.limit} leaves nothing to choose from; give at least 2")


def compare_embedders(comparison: EmbedderComparison, out: Path, *, tell: Tell) -> list[Arm]:
    """Teach, judge and report; writes a folder a system and `report.json` into `out`."""
    if out.exists() and any(out.iterdir()):
        raise Misuse(f"{out} is not empty; choose another --out, or remove it")
    if comparison.threads is not None:
        torch.set_num_threads(comparison.threads)
    taught = all_read(pairs_named(comparison.data, "train"))
    asked = all_read(pairs_named(comparison.data, "test")[: comparison.limit])
    arms = [_arm(comparison, slug, taught, asked, out, tell) for slug in comparison.systems]
    record = {
        "scale": comparison.scale.value,
        "data": comparison.data,
        "pairs_taught": len(taught),
        "pairs_asked": len(asked),
        "budget": comparison.budget.entries(),
        "seed": comparison.seed,
        "threads": torch.get_num_threads(),
        "command": shareable(["chiasm", *sys.argv[1:]], Path.cwd()),
        "machine": machine(),
        "systems": [arm.entries() for arm in arms],
    }
    write(out / REPORT, record)
    return arms


def _arm(
    comparison: EmbedderComparison,
    slug: str,
    taught: Sequence[PairLike],
    asked: Sequence[PairLike],
    out: Path,
    tell: Tell,
) -> Arm:
    tell(f"[bold]{slug}[/bold]: training")
    folder = teach(
        slug,
        comparison.scale,
        taught,
        comparison.budget,
        out / slug,
        seed=comparison.seed,
        display=Silent(),
    )
    saved = open_folder(folder)
    found = judge(saved.embedder, asked)
    said = ", ".join(f"{one.task} R@10 {100 * one.recalls[-1].share:.1f}%" for one in found)
    tell(f"[bold]{slug}[/bold]: {said} of {len(asked)}")
    return Arm(
        slug=slug,
        judged=tuple(found),
        parameters=sum(p.numel() for p in saved.embedder.model.parameters()),
        samples=int(saved.extra["samples"]),
        seconds=float(saved.extra["seconds"]),
    )


def table(arms: Sequence[Arm]) -> Table:
    """Two rows a system, and chance after them."""
    made = Table(box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for at, name in enumerate(HEAD):
        made.add_column(name, justify="right" if at > 1 else "left", no_wrap=True)
    for arm in arms:
        for number, one in enumerate(arm.judged):
            low, high = one.recalls[-1].interval
            made.add_row(
                arm.slug if not number else "",
                one.task,
                *(f"{100 * recall.share:.1f}%" for recall in one.recalls),
                f"{100 * low:.1f} to {100 * high:.1f}",
                scaled(one.bytes_per_document, "B"),
                f"{one.index_ms:.2f}",
                f"{one.query_ms:.2f}",
                f"{arm.parameters:,}" if not number else "",
                f"{arm.samples / arm.seconds:,.0f}" if not number else "",
            )
    for one in arms[0].judged if arms else ():
        shares = (f"{100 * recall.chance:.1f}%" for recall in one.recalls)
        made.add_row("chance", one.task, *shares, *[""] * 6)
    return made

"""Systems side by side: the same data in the same order, the same budget, the same judge."""

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from chiasm import data
from chiasm.catalogue.provenance import machine, shareable
from chiasm.cost import alternating, count, peak_memory
from chiasm.cost.latency import prefill
from chiasm.data.example import Dataset, Example
from chiasm.data.views import image_size, picture
from chiasm.errors import Misuse
from chiasm.evaluation import committed_files
from chiasm.evaluation.baselines import majority
from chiasm.evaluation.plots import require_matplotlib
from chiasm.evaluation.predict import Prediction, predict
from chiasm.evaluation.report import examples_to_show, page
from chiasm.evaluation.result import Result, Score
from chiasm.hub import Checkpoint, open_checkpoint
from chiasm.spec import Scale, geometry, system
from chiasm.stream import Inputs
from chiasm.training import Budget, train
from chiasm.training.metrics import read as read_metrics

Tell = Callable[[str], object]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What is compared, and what is held equal."""

    systems: tuple[str, ...]
    scale: Scale
    data: str
    test: str | None
    """Path of held-out examples, where `data` is a file; a packaged set has its own test split."""
    budget: Budget
    seed: int
    threads: int | None
    limit: int | None

    def __post_init__(self) -> None:
        for slug in self.systems:
            system(slug)
        twice = {slug for slug in self.systems if self.systems.count(slug) > 1}
        if twice:
            raise Misuse(f"{', '.join(sorted(twice))} named twice; name each system once")
        if self.scale is Scale.PAPER:
            raise Misuse("paper scale is counted, not trained; compare at nano or smol")
        if self.limit is not None and self.limit < 1:
            raise Misuse(f"--limit {self.limit} leaves nothing to judge; give at least 1")

    def splits(self) -> tuple[Dataset, Sequence[Example]]:
        """(taught, asked)."""
        if Path(self.data).suffix and self.test is None:
            raise Misuse(f"{self.data} has no test split; give held-out examples with --test")
        taught = data.load(self.data, "train")
        asked = data.load(self.test) if self.test else data.load(self.data, "test")
        return taught, asked[: self.limit] if self.limit else asked.examples


def compare_systems(comparison: Comparison, out: Path, *, tell: Tell) -> tuple[list[Result], Score]:
    """Train, judge, measure and report; gives the results and the majority answer's score.

    Writes a checkpoint folder a system, `report.html`, `report.json`, `predictions.jsonl` and
    `example.png` into `out`.
    """
    require_matplotlib()
    if comparison.threads is not None:
        torch.set_num_threads(comparison.threads)
    taught, asked = comparison.splits()
    if out.exists() and any(out.iterdir()):
        raise Misuse(f"{out} is not empty; choose another --out, or remove it")
    out.mkdir(parents=True, exist_ok=True)
    folders, said = {}, {}
    for slug in comparison.systems:
        tell(f"[bold]{slug}[/bold]: training")
        folders[slug] = train(
            slug,
            scale=comparison.scale,
            data=taught,
            budget=comparison.budget,
            out=out / slug,
            seed=comparison.seed,
        )
        began = time.perf_counter()
        opened = open_checkpoint(folders[slug])
        said[slug] = list(predict(opened.model, opened.collator, asked))
        score = Score.of(said[slug])
        low, high = score.interval
        tell(
            f"[bold]{slug}[/bold]: {100 * score.accuracy:.2f}% of {score.count} questions "
            f"({100 * low:.2f} to {100 * high:.2f}), judged in {time.perf_counter() - began:.0f} s"
        )
    constant = Score.of(list(majority(taught.examples, asked)))
    results = _measured(comparison, folders, said, asked)
    _write(comparison, out, results, constant, said, asked, folders)
    return results, constant


def _measured(
    comparison: Comparison,
    folders: dict[str, Path],
    said: dict[str, list[Prediction]],
    asked: Sequence[Example],
) -> list[Result]:
    """Cost and speed on one and the same prompt: the first test image and its first question."""
    opened = {slug: open_checkpoint(folder) for slug, folder in folders.items()}
    prompts = {slug: _prompt(checkpoint, asked[0]) for slug, checkpoint in opened.items()}
    times = alternating(
        {slug: checkpoint.model for slug, checkpoint in opened.items()},
        prompts,
        repeats=15,
        warm_up=3,
    )
    results = []
    for slug, checkpoint in opened.items():
        model, inputs = checkpoint.model.eval(), prompts[slug]
        text, size = int((inputs.table.modality == 0).sum()), image_size(asked[0])
        bill = count(model.answers, text=text, image_size=size, dtype="fp32", name=slug)
        curve = read_metrics(folders[slug])
        with torch.inference_mode():
            peak = peak_memory(model, lambda m=model, i=inputs: prefill(m, i))
        results.append(
            Result(
                system=slug,
                score=Score.of(said[slug]),
                parameters=bill.parameters.total,
                parameters_trained=bill.parameters.trained,
                visual_tokens=geometry(model.answers, size).tokens,
                text_tokens=text,
                prefill_flops=bill.prefill_flops,
                kv_bytes=bill.kv_bytes,
                prefill_ms=1000 * times[slug],
                peak_bytes=peak,
                samples=curve[-1].samples,
                seconds=curve[-1].seconds,
                seed=comparison.seed,
            )
        )
    return results


def _prompt(checkpoint: Checkpoint, example: Example) -> Inputs:
    alone = Example(example.id, example.images, example.turns[:1])
    return checkpoint.collator.batch([alone], teach=False).to(checkpoint.model.device)


def _write(
    comparison: Comparison,
    out: Path,
    results: Sequence[Result],
    constant: Score,
    said: dict[str, list[Prediction]],
    asked: Sequence[Example],
    folders: dict[str, Path],
) -> None:
    shared = {
        "scale": comparison.scale.value,
        "data": comparison.data,
        "budget": comparison.budget.entries(),
        "majority_accuracy": constant.accuracy,
        "threads": torch.get_num_threads(),
        "command": _command(),
        "machine": machine(),
    }
    records = [result.record(**shared) for result in results]
    committed_files.write(out / "report.json", records)
    with (out / "predictions.jsonl").open("w", encoding="utf-8") as lines:
        for slug, predictions in said.items():
            for one in predictions:
                entry = {"system": slug, "example": one.example, "question": one.question}
                entry |= {"expected": one.expected, "said": one.said}
                lines.write(json.dumps(entry, ensure_ascii=False) + "\n")
    curves = {
        slug: [(step.seconds, step.loss) for step in read_metrics(folder)]
        for slug, folder in folders.items()
    }
    facts = {
        "command": _command(),
        "data": f"{comparison.data}, {len(asked)} test examples, {constant.count} questions",
        "budget": ", ".join(f"{k} {v:g}" for k, v in comparison.budget.entries().items() if v),
        "seed": str(comparison.seed),
        "machine": machine(),
    }
    html = page(
        results,
        constant,
        curves,
        examples_to_show(asked, said),
        title=f"{len(results)} systems on {Path(comparison.data).stem}, {comparison.scale} scale",
        facts=facts,
    )
    (out / "report.html").write_text(html, encoding="utf-8")
    if asked[0].images:
        picture(asked[0].images[0]).save(out / "example.png")


def _command() -> str:
    """The command that was given, without this machine's paths."""
    return shareable(["chiasm", *sys.argv[1:]], Path.cwd())

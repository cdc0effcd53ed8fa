"""A paper's effect: a system and its baseline, taught alike with the same seeds, and compared.

Both learn from the same samples in the same order and answer the same held-out questions; only the
answers that the pair names differ. The effect is the mean of the seeds' paired differences, with
Student's interval. It is confirmed where the interval lies on the paper's side of zero, contrary
where it lies on the other, and otherwise none was seen.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from chiasm import data
from chiasm.catalogue.provenance import measured_by
from chiasm.errors import Misuse
from chiasm.evaluation.committed_files import write
from chiasm.evaluation.interval import student
from chiasm.evaluation.predict import predict
from chiasm.evaluation.result import Score
from chiasm.hub import open_checkpoint
from chiasm.spec import System
from chiasm.training import Budget, train
from chiasm.training.display import Silent

Tell = Callable[[str], object]

EFFECTS = Path(__file__).parents[3] / "benchmarks" / "effects.py"


@dataclass(frozen=True, kw_only=True)
class Pair:
    """One measurement: what is compared with what, on what, and what the paper says of it."""

    name: str
    """The result's file name."""
    system: System
    baseline: System
    data: str
    samples: int
    """Examples taught to each."""
    asked: int
    """Test examples."""
    claim: str
    """What the paper leads one to expect, in this setting's words."""
    differs: str
    """What the system has and the baseline lacks."""
    scale: str = "nano"


def measure(pair: Pair, seeds: Sequence[int], folder: Path, *, tell: Tell) -> dict[str, Any]:
    """The result record of a pair over `seeds`; finished arms in `folder` are not run again."""
    if len(set(seeds)) < 3:
        raise Misuse(f"{len(set(seeds))} seeds given; an effect needs at least three")
    arms: dict[str, list[float]] = {"system": [], "baseline": []}
    for seed in seeds:
        for arm, chosen in (("system", pair.system), ("baseline", pair.baseline)):
            accuracy = _arm(pair, chosen, seed, folder)
            arms[arm].append(accuracy)
            tell(f"{pair.name}, seed {seed}, {arm} {chosen.slug}: {100 * accuracy:.2f}%")
    return record(pair, list(seeds), arms["system"], arms["baseline"])


def record(
    pair: Pair,
    seeds: list[int],
    values: list[float],
    baselines: list[float],
    script: Path = EFFECTS,
) -> dict[str, Any]:
    """What a result file says of the arms' accuracies, which `script` measured."""
    return {
        **paired("accuracy", values, baselines),
        "seeds": seeds,
        "accuracies": values,
        "baseline_accuracies": baselines,
        "system": pair.system.slug,
        "baseline_system": pair.baseline.slug,
        "differs": pair.differs,
        "claim": pair.claim,
        "data": pair.data,
        "scale": pair.scale,
        "samples": pair.samples,
        "test_examples": pair.asked,
        "interval": INTERVAL,
        **measured_by(script),
    }


INTERVAL = "Student's t over seeds, 95%; the outcome is that of the paired differences"
"""How `paired` comes to its bounds, in a record's words."""


def paired(
    metric: str,
    values: Sequence[float],
    baselines: Sequence[float],
    *,
    better: str = "higher",
    gain: str = "difference",
) -> dict[str, Any]:
    """What a record says of two arms over the same seeds: means, intervals, outcome, and the mean
    `gain` of the first arm, the other way round where `lower` is better.
    """
    sign = 1 if better == "higher" else -1
    gains = [sign * (one - other) for one, other in zip(values, baselines, strict=True)]
    low, high = student(gains)
    found: dict[str, Any] = {"metric": metric, "better": better, "outcome": outcome(low, high)}
    for prefix, name, each in (("", "value", values), ("baseline_", "baseline", baselines)):
        least, most = student(each)
        found |= {name: fmean(each), f"{prefix}low": least, f"{prefix}high": most}
    return found | {gain: fmean(gains), f"{gain}_low": low, f"{gain}_high": high}


def outcome(low: float, high: float) -> str:
    """What the interval of the paired differences says of a claimed gain."""
    if low > 0:
        return "confirmed"
    return "contrary" if high < 0 else "none seen"


def _arm(pair: Pair, chosen: System, seed: int, folder: Path) -> float:
    """Accuracy of one arm; taught and judged once, then remembered under what it was taught.

    Pairs that share a baseline share its arms.
    """
    settings = repr((chosen.at(pair.scale), pair.data, pair.samples, pair.asked, seed))
    digest = hashlib.sha256(settings.encode()).hexdigest()[:16]
    arm = folder / f"{chosen.slug}-{pair.data}-{seed}-{digest}"
    kept = arm / "accuracy.json"
    if kept.is_file():
        return float(json.loads(kept.read_text(encoding="utf-8"))["accuracy"])
    if arm.exists():
        shutil.rmtree(arm)
    budget = Budget(samples=pair.samples)
    train(chosen, pair.scale, pair.data, budget, arm, seed=seed, display=Silent())
    opened = open_checkpoint(arm)
    asked = data.load(pair.data, "test")[: pair.asked]
    score = Score.of(list(predict(opened.model, opened.collator, asked)))
    for entry in arm.iterdir():
        if entry.is_file():
            entry.unlink()
    held = {"accuracy": score.accuracy, "right": score.right, "count": score.count}
    write(kept, held)
    return score.accuracy

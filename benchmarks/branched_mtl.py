"""Branches found at growing resource losses, on two related tasks and one that is not.

`shape` and `thing` ask where things are, `grain` asks for the direction of stripes over the whole
picture. Every search starts from fresh weights; the tree that it finds is taught anew from fresh
weights, as are one shared encoder and an encoder a task. Two effects are recorded: that a larger
resource loss makes fewer branches (the largest of the sweep against the smallest), and that related
tasks share more layers than unrelated ones (mean over the sweep). Finished runs are not run again.

    python benchmarks/branched_mtl.py                     # 10 minutes on one core
    python benchmarks/branched_mtl.py --seeds 3 4 5 --resources 0.02 0.2 --results /tmp/branched
"""

import argparse
import json
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from chiasm.branching import Branched, Encoder, Supergraph, Task, Tree
from chiasm.branching.blocks import rows
from chiasm.catalogue.provenance import measured_by
from chiasm.data.scene_tasks import CLASSES, TaskImages, scene_tasks
from chiasm.evaluation.committed_files import write
from chiasm.evaluation.effect import INTERVAL, paired
from chiasm.training.branch_search import (
    BranchSearch,
    branch_search,
    intersection_over_union,
    teach,
)

ROOT = Path(__file__).parents[1]
NAMES = ("shape", "thing", "grain")
RELATED, UNRELATED = ((0, 1),), ((0, 2), (1, 2))
TASKS = tuple(Task(name=name, classes=CLASSES[name]) for name in NAMES)
ENCODER = Encoder(side=16, blocks=rows(3, (2, 8, 1, 1), (2, 12, 1, 2), (2, 12, 2, 1)))


def searched(resource: float, seed: int, options: argparse.Namespace) -> Tree:
    """The tree of one search."""
    torch.manual_seed(seed)
    settings = BranchSearch(
        resource=resource, epochs=options.epochs, held=options.held, alpha_rate=options.alpha_rate
    )
    return branch_search(
        Supergraph(ENCODER, TASKS), pictures("train", options), settings, seed=seed
    )


def taught(tree: Tree, seed: int, options: argparse.Namespace) -> dict[str, float]:
    """Test intersections over unions of the tree taught from fresh weights."""
    torch.manual_seed(seed)
    network = Branched(ENCODER, TASKS, tree)
    settings = BranchSearch(epochs=options.epochs)
    teach(network, TASKS, pictures("train", options), settings, seed=seed)
    return intersection_over_union(network, TASKS, pictures("test", options))


def pictures(split: str, options: argparse.Namespace) -> TaskImages:
    """The same for every seed."""
    count = options.pictures if split == "train" else options.asked
    return scene_tasks(split, count, tasks=NAMES, side=ENCODER.side)


def run(name: str, seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """One arm: a resource loss, or one of the two ends; remembered in the folder of runs."""
    numbers = (options.epochs, options.pictures, options.asked, options.held, options.alpha_rate)
    kept = options.runs / ("-".join(map(str, (name, seed, *numbers))) + ".json")
    if kept.is_file():
        return json.loads(kept.read_text(encoding="utf-8"))
    layers = len(ENCODER.blocks)
    ends = {"shared": Tree.shared(layers, len(TASKS)), "apart": Tree.apart(layers, len(TASKS))}
    tree = ends[name] if name in ends else searched(float(name), seed, options)
    flops = ENCODER.flops()
    found = {
        "arm": name,
        "seed": seed,
        "tree": tree.layers,
        "branches": tree.branches,
        "cost": tree.cost(flops) / sum(flops),
        "related": fmean(tree.together(*pair) for pair in RELATED),
        "unrelated": fmean(tree.together(*pair) for pair in UNRELATED),
        "iou": taught(tree, seed, options),
    }
    write(kept, found)
    said = f"{tree.branches}, cost {found['cost']:.2f}, {found['iou']}"
    print(f"{name:>7} seed {seed}: {said}", flush=True)
    return found


def record(values: list[float], baselines: list[float], better: str, **said: Any) -> dict[str, Any]:
    """A result: both arms over the seeds, and what their paired differences say."""
    found = paired(said.pop("metric"), values, baselines, better=better, gain="gain")
    return {**found, "values": values, "baseline_values": baselines, **said}


def main() -> int:
    """Run every arm over every seed, print, write both results."""
    options = _options()
    torch.set_num_threads(options.threads)
    names = [*map(str, sorted(options.resources)), "shared", "apart"]
    runs = [run(name, seed, options) for seed in options.seeds for name in names]
    sweep = names[:-2]

    def of(name: str, seed: int) -> dict[str, Any]:
        [found] = [one for one in runs if (one["arm"], one["seed"]) == (name, seed)]
        return found

    shared: dict[str, Any] = {
        "seeds": options.seeds,
        **measured_by(Path(__file__)),
        "interval": INTERVAL,
        "setting": {
            "tasks": NAMES,
            "related": "shape and thing",
            "layers": len(ENCODER.blocks),
            **{
                name: getattr(options, name)
                for name in ("resources", "epochs", "pictures", "asked", "held", "alpha_rate")
            },
        },
        "runs": runs,
    }
    branches = record(
        *(
            [fmean(of(name, s)["branches"]) for s in options.seeds]
            for name in (sweep[-1], sweep[0])
        ),
        better="lower",
        metric="branches per layer",
        claim=f"a resource loss of {sweep[-1]} makes fewer branches than one of {sweep[0]}",
        **shared,
    )
    sharing = record(
        *(
            [fmean(of(name, seed)[key] for name in sweep) for seed in options.seeds]
            for key in ("related", "unrelated")
        ),
        better="higher",
        metric="layers that two tasks share",
        claim="related tasks share more layers than unrelated ones, mean over the sweep",
        **shared,
    )
    folder = options.results / "branched-mtl"
    write(folder / "fewer-branches.json", branches)
    write(folder / "related-share-longer.json", sharing)
    for name in names:
        cost, iou = (
            fmean(of(name, s)["cost"] for s in options.seeds),
            fmean(fmean(of(name, s)["iou"].values()) for s in options.seeds),
        )
        print(f"{name:>7}: cost {cost:.2f}, mean IoU {iou:.4f}")
    for result in (branches, sharing):
        print(
            f"{result['metric']}: {result['value']:.2f} against {result['baseline']:.2f}, "
            f"{result['outcome']}"
        )
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--resources", type=float, nargs="+", default=[0.01, 0.03, 0.3])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=16, help="of a search, and of a teaching")
    parser.add_argument("--pictures", type=int, default=256)
    parser.add_argument("--asked", type=int, default=200, help="test pictures")
    parser.add_argument("--held", type=float, default=0.4, help="share that teaches the branching")
    parser.add_argument("--alpha-rate", type=float, default=0.05)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=Path, default=Path("runs/branched-mtl"))
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())

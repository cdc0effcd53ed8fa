"""Sub-networks and their bits searched together, against architectures first and INT8 afterwards.

A BEiT-3 of nano kind (patches and words, a feed-forward for each) answers questions about four
coloured shapes: "color top left", "shape bottom right". It is taught as a super-network; then both
searches measure sub-networks of it, equally often: cut out, quantised by static INT8, asked. The
hypervolume is the area between what a search measured and (accuracy 0, the super-network's bytes),
as a share of (accuracy 1, no bytes); everything that an arm measured counts for it.

    python benchmarks/simq_nas.py                      # 25 minutes on one core
    python benchmarks/simq_nas.py --seeds 3 4 5 --budget 60 --results /tmp/simq
"""

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import torch

from chiasm.assemble import build
from chiasm.catalogue.provenance import measured_by
from chiasm.connectors import PatchEmbedding
from chiasm.data.collate import Collator
from chiasm.data.example import Example, Turn
from chiasm.data.scene import COLORS, SHAPES, SIZES, Scene, Thing, below
from chiasm.data.templates import named
from chiasm.data.tokenizer import fit_tokenizer
from chiasm.elastic import (
    Genome,
    Linas,
    Point,
    Space,
    architectures_then_int8,
    fronts,
    hypervolume,
    linas,
    quantise,
    sliced,
    space_of,
    weight_bytes,
)
from chiasm.encoders import RawPatches
from chiasm.evaluation.committed_files import write
from chiasm.evaluation.effect import INTERVAL, paired
from chiasm.spec import Fixed, Scale, registered
from chiasm.stream import Inputs
from chiasm.training.elastic import answered, teach_elastic

ROOT = Path(__file__).parents[1]
CORNERS = {
    f"{row} {column}": (x, y)
    for row, y in (("top", 16), ("bottom", 48))
    for column, x in (("left", 16), ("right", 48))
}


def quadrants(split: str, count: int) -> list[Example]:
    """A shape in each corner, and one question about one of them."""
    found = []
    for number in range(count):
        draw = Random(f"quadrants/{split}/{number}")
        things = {
            corner: Thing(
                SHAPES[below(draw, len(SHAPES))],
                tuple(COLORS)[below(draw, len(COLORS))],
                tuple(SIZES)[below(draw, len(SIZES))],
                *place,
            )
            for corner, place in CORNERS.items()
        }
        corner, kind = tuple(CORNERS)[below(draw, 4)], ("color", "shape")[below(draw, 2)]
        scene = Scene(tuple(things.values()), 225 + below(draw, 26))
        turn = Turn(f"{kind} {corner}", getattr(things[corner], kind))
        found.append(Example(f"quadrants/{split}/{number}", (scene,), (turn,), independent=True))
    return found


def collated(collator: Collator, examples: Sequence[Example], size: int) -> list[Inputs]:
    """Batches that teach."""
    return [
        collator.batch(examples[first : first + size], teach=True)
        for first in range(0, len(examples), size)
    ]


def prepared(examples: Sequence[Example]) -> Collator:
    """Four layers of four heads over 32 x 32 pixels, a patch a corner; the questions' own words."""
    nano = registered()["beit-3"].at(Scale.NANO)
    texts = [
        text for one in examples for turn in one.turns for text in (turn.question, turn.answer)
    ]
    tokenizer = fit_tokenizer(texts, nano.host.vocabulary)
    host = replace(
        nano.host,
        vocabulary=len(tokenizer),
        width=64,
        depth=4,
        heads=4,
        kv_heads=4,
        head_width=16,
        ff_width=128,
    )
    answers = replace(
        nano,
        host=host,
        views=Fixed(32, 32),
        encoder=RawPatches(patch=16),
        connector=PatchEmbedding(side=(2, 2), initial_std=0.1),
    )
    return Collator(answers, named(answers.template), tokenizer)


@cache
def drawn(
    taught: int, asked: int, calibration: int
) -> tuple[Collator, list[Inputs], list[Inputs], list[Inputs]]:
    """Batches to teach, to ask and to calibrate on; the same for every seed."""
    train = quadrants("train", taught)
    collator = prepared(train)
    return (
        collator,
        collated(collator, train, 64),
        collated(collator, quadrants("test", asked), 128),
        collated(collator, quadrants("held", calibration), calibration),
    )


def searches(seed: int, options: argparse.Namespace) -> dict[str, Any]:
    """One seed: the super-network taught, and what both searches measured of it."""
    kept = options.runs / f"{seed}-{options.steps}-{options.budget}-{options.evaluations}.json"
    if kept.is_file():
        return json.loads(kept.read_text(encoding="utf-8"))
    collator, batches, tests, held = drawn(options.taught, options.asked, options.calibration)
    model = build(collator.answers, seed=seed)
    space = space_of(model, depths=(2, 3, 4), heads=(1, 2, 4), hidden=(32, 64, 128))
    stage = replace(collator.answers.teaching.stages[-1], learning_rate=options.rate)
    passes = (batches[at % len(batches)] for at in range(options.steps))
    teach_elastic(
        model,
        space,
        passes,
        options.steps,
        stage=stage,
        seed=seed,
        tell=lambda step, whole, part: (
            None if step % 50 else print(f"  step {step}: {whole:.3f}, {part:.3f}", flush=True)
        ),
    )
    model.eval()

    def measure(genome: Genome) -> Point:
        slim, bits = sliced(model, space, genome), space.bits_of(genome)
        return answered(quantise(slim, bits, held), tests), weight_bytes(slim, bits)

    settings = Linas(
        first=options.first,
        each=options.each,
        budget=options.budget,
        evaluations=options.evaluations,
        population=20,
    )
    largest = measure(space.maximal())
    print(f"seed {seed}: super-network {largest}", flush=True)
    kinds: list[dict[str, str]] = []
    arms = {
        "joint": linas(
            space, measure, settings, seed=seed, tell=lambda count, found: kinds.append(found)
        ),
        "then-int8": architectures_then_int8(space, measure, settings, seed=seed),
    }
    found: dict[str, Any] = {
        "seed": seed,
        "super_network": largest,
        "full_int8": measure(space.with_bits(space.maximal(), 8)),
        "predictors": kinds,
    }
    for name, points in arms.items():
        found[name] = arm(space, points, largest)
        print(f"seed {seed} {name}: {found[name]['hypervolume']:.4f}", flush=True)
    write(kept, found)
    return found


def arm(space: Space, measured: dict[Genome, Point], largest: Point) -> dict[str, Any]:
    """What one search found: its hypervolume, and the best of what it measured."""
    points = list(measured.values())
    best = sorted(fronts(points)[0], key=lambda at: points[at][1])
    return {
        "measurements": len(points),
        "hypervolume": hypervolume(points, (0.0, largest[1])) / largest[1],
        "front": [(*points[at], list(measured)[at]) for at in best],
        "points": points,
    }


def main() -> int:
    """Search with every seed, print, write the result."""
    options = _options()
    torch.set_num_threads(options.threads)
    runs = [searches(seed, options) for seed in options.seeds]
    joint, apart = ([run[name]["hypervolume"] for run in runs] for name in ("joint", "then-int8"))
    result = {
        **paired("hypervolume of accuracy against bytes", joint, apart),
        "seeds": options.seeds,
        "claim": "architecture and bits searched together are at least as good as architectures "
        "first and INT8 afterwards, at equal measurements",
        "quantisation": "static INT8, rows of weights and ranges of inputs from calibration",
        **measured_by(Path(__file__)),
        "interval": INTERVAL,
        "setting": {
            name: getattr(options, name)
            for name in (
                *("steps", "rate", "taught", "asked", "calibration"),
                *("first", "each", "budget", "evaluations"),
            )
        },
        "runs": runs,
    }
    write(options.results / "simq-nas" / "joint-against-then-int8.json", result)
    low, high = (result[f"difference_{end}"] for end in ("low", "high"))
    print(f"{result['outcome']}: {result['difference']:+.4f} ({low:+.4f} to {high:+.4f})")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=300, help="of the super-network")
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--taught", type=int, default=3_200, help="questions")
    parser.add_argument("--asked", type=int, default=256, help="test questions a measurement")
    parser.add_argument("--calibration", type=int, default=100, help="questions")
    parser.add_argument("--first", type=int, default=24)
    parser.add_argument("--each", type=int, default=18)
    parser.add_argument("--budget", type=int, default=60)
    parser.add_argument("--evaluations", type=int, default=400, help="predictions a round")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=Path, default=Path("runs/simq-nas"))
    parser.add_argument("--results", type=Path, default=ROOT / "results")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())

"""Effects of published embedders against their baselines, taught at nano scale on packaged pairs.

Both arms of an effect are taught with the same seeds on the same pairs in the same order, and find
the same held-out pairs; only the answers that an effect names differ.

    python benchmarks/embedder_effects.py                    # every effect, seeds 0 to 2
    python benchmarks/embedder_effects.py structure --samples 4000
    python benchmarks/embedder_effects.py volume-first       # by the name of an effect
"""

import argparse
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from embedder_arms import Chosen, Effect, effects

from chiasm.catalogue.provenance import measured_by
from chiasm.embedders.building import prepare
from chiasm.embedders.pairs import pairs_named
from chiasm.embedders.remembered import remembered
from chiasm.embedders.teaching import Teacher
from chiasm.evaluation.committed_files import write
from chiasm.evaluation.effect import INTERVAL, paired
from chiasm.spec import Scale
from chiasm.spec.embedder import EmbedderAnswers, registered_embedders
from chiasm.training.budget import Budget

ROOT = Path(__file__).parents[1]


def arm(
    effect: Effect, answers: EmbedderAnswers, chosen: Chosen, seed: int, samples: int
) -> tuple[float, dict[str, float]]:
    """One arm's figure, and its details."""
    pairs = remembered(chosen(pairs_named(effect.data, "train")[: effect.taught]))
    asked = remembered(pairs_named(effect.data, "test")[: effect.asked])
    texts = [text for pair in pairs for text in pair.texts]
    embedder = prepare(answers, [*texts, *(t.instruction for t in answers.batches.tasks)], seed)
    if samples:
        with TemporaryDirectory() as scratch:
            Teacher(
                embedder=embedder,
                pairs=pairs,
                budget=Budget(samples=samples),
                out=Path(scratch),
                seed=seed,
            ).run()
    return effect.measure(embedder, asked), effect.details(embedder, asked)


def main() -> None:
    """Measure and write `results/SLUG/NAME.json`."""
    known = effects()
    named = dict.fromkeys(name for effect in known for name in (effect.slug, effect.name))
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "names", nargs="*", choices=[*named, []], help="of systems or effects; default: all"
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--samples", type=int, help="pairs taught to each arm")
    parser.add_argument("--out", type=Path, default=ROOT / "results")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for effect in known:
        if given.names and not {effect.slug, effect.name} & {*given.names}:
            continue
        seeds = list(range(given.seeds))
        samples = given.samples or effect.samples
        fewer = round(samples * effect.baseline_share)
        registered = registered_embedders()[effect.slug].at(Scale.NANO)
        arms: list[list[float]] = []
        details: list[list[dict[str, float]]] = []
        for answers, chosen, taught in (
            (effect.system or registered, effect.pairs, samples),
            (effect.baseline, effect.baseline_pairs, fewer),
        ):
            found = [arm(effect, answers, chosen, seed, taught) for seed in seeds]
            arms.append([figure for figure, _ in found])
            details.append([held for _, held in found])
            print(f"{effect.slug} {effect.name}: {arms[-1]}", flush=True)
        kept = {"details": details[0], "baseline_details": details[1]}
        record = {
            **paired(effect.metric, arms[0], arms[1], better=effect.better, gain="gain"),
            "seeds": seeds,
            "values": arms[0],
            "baseline_values": arms[1],
            **(kept if any(details[0]) else {}),
            "system": effect.slug,
            "differs": effect.differs,
            "claim": effect.claim,
            "data": effect.data,
            "scale": Scale.NANO.value,
            "samples": samples,
            "baseline_samples": fewer,
            "pairs_taught": effect.taught,
            "pairs_asked": effect.asked,
            "interval": INTERVAL,
            **measured_by(Path(__file__)),
        }
        write(given.out / effect.slug / f"{effect.name}.json", record)
        print(f"{effect.slug}: {record['outcome']}, gain {record['gain']:+.4f}", flush=True)


if __name__ == "__main__":
    main()

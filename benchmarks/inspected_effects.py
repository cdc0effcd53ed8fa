"""Effects that `chiasm inspect` is to show: top heads against random ones, atoms against clusters.

For every seed one nano LLaVA is taught easy-VQA and one to describe scenes. Of the first, right
answers lost without its top visual heads are held against those lost without as many at random, and
these against late ones. Of the second, the dictionaries of the states in which a word is said are
held against each other: how far atoms share words, and how many of those are true of a picture.

    python benchmarks/inspected_effects.py --seeds 3
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from chiasm.catalogue.provenance import measured_by
from chiasm.errors import Misuse
from chiasm.evaluation.committed_files import write
from chiasm.evaluation.effect import INTERVAL, paired
from chiasm.inspection.ablation import ablate
from chiasm.inspection.concept_report import concept_report
from chiasm.inspection.heads import find_heads
from chiasm.inspection.subject import Subject
from chiasm.training import Budget, train
from chiasm.training.display import Silent

ANSWERS, CAPTIONS = "easy-vqa", "scenes-captions"


def taught(data: str, seed: int, options: argparse.Namespace) -> Path:
    """A nano LLaVA-1.5; one that is there is not taught again."""
    samples = options.samples
    folder = options.runs / f"{data}-{samples}-{seed}"
    budget = Budget(samples=samples)
    return train(
        "llava-1.5", "nano", data, budget, folder, seed=seed, resume=True, display=Silent()
    )


def lost(seed: int, options: argparse.Namespace) -> dict[str, float]:
    """Shares of right answers lost by silencing, of top, random and late heads."""
    subject = Subject.open(taught(ANSWERS, seed, options), ANSWERS, limit=options.asked)
    found = find_heads(subject)
    arms = ablate(subject, found, options.heads, draws=options.draws, seed=seed)
    by_name = {one.name: one.lost.value for one in arms}
    drawn = [value for name, value in by_name.items() if name.startswith("random")]
    return {"top": by_name["top"], "random": fmean(drawn), "late": by_name["late"]}


def dictionaries(seed: int, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Each dictionary's figures by name."""
    subject = Subject.open(taught(CAPTIONS, seed, options), CAPTIONS, limit=options.asked)
    report = concept_report(
        subject,
        options.word,
        atoms=options.atoms,
        penalty=1.0,
        layer=None,
        most=options.words,
        max_new=40,
        seed=seed,
    )
    return {one["name"]: one for one in report.record["dictionaries"]}


def records(
    heads: Sequence[dict[str, float]], words: Sequence[dict[str, dict[str, float]]]
) -> dict[str, dict[str, Any]]:
    """By result file: what was compared."""

    def each(name: str) -> list[float]:
        return [one[name] for one in heads]

    def of(dictionary: str, figure: str) -> list[float]:
        return [one[dictionary][figure] for one in words]

    lost = "right answers lost by silencing heads"
    return {
        "visual-heads/top-against-random": {
            **paired(lost, each("top"), each("random")),
            "claim": "removing the top visual heads hurts more than removing as many at random",
        },
        "visual-heads/random-against-late": {
            **paired(lost, each("random"), each("late")),
            "claim": "removing late heads hurts less than removing as many at random",
        },
        "concept-explainability/overlap-against-k-means": {
            **paired(
                "overlap of atoms' words",
                of("semi-nmf", "overlap"),
                of("k-means", "overlap"),
                better="lower",
            ),
            "claim": "atoms of semi-NMF share fewer words than clusters",
        },
        "concept-explainability/words-against-random": {
            **paired(
                "share of words named that are true",
                of("semi-nmf", "score"),
                of("semi-nmf", "random"),
            ),
            "claim": "words of active atoms are truer of the picture than words at random",
        },
    }


def main() -> int:
    options = _options()
    if options.seeds < 3:
        raise Misuse(f"{options.seeds} seeds given; an effect needs at least three")
    torch.set_num_threads(options.threads)
    heads: list[dict[str, float]] = []
    words: list[dict[str, dict[str, float]]] = []
    for seed in range(options.seeds):
        heads.append(lost(seed, options))
        print(f"seed {seed}: {heads[-1]}", flush=True)
        words.append(dictionaries(seed, options))
        print(f"seed {seed}: {words[-1]['semi-nmf']}, {words[-1]['k-means']}", flush=True)
    shared = {
        "seeds": list(range(options.seeds)),
        "system": "llava-1.5",
        "scale": "nano",
        "samples": options.samples,
        "asked": options.asked,
        "heads": options.heads,
        "atoms": options.atoms,
        "word": options.word,
        "interval": INTERVAL,
        **measured_by(Path(__file__)),
    }
    for name, found in records(heads, words).items():
        write(options.results / f"{name}.json", {**found, **shared})
        print(
            f"{name}: {found['outcome']}, {found['value']:.4f} against {found['baseline']:.4f}, "
            f"gain {found['difference_low']:+.4f} to {found['difference_high']:+.4f}"
        )
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 0")
    parser.add_argument("--samples", type=int, default=4000, help="taught to each model")
    parser.add_argument("--asked", type=int, default=300, help="test questions")
    parser.add_argument("--heads", type=int, default=2, help="silenced at once, of 12")
    parser.add_argument("--draws", type=int, default=5, help="of random heads")
    parser.add_argument("--atoms", type=int, default=12)
    parser.add_argument("--word", default="red")
    parser.add_argument("--words", type=int, default=5, help="an atom, of the data's few")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=Path, default=Path("runs/inspected_effects"))
    parser.add_argument("--results", type=Path, default=Path("results"))
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())

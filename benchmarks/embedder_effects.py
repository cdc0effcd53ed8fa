"""Effects of published embedders against their baselines, taught at nano scale on packaged pairs.

Both arms of an effect are taught with the same seeds on the same pairs in the same order, and find
the same held-out pairs; only the answers that an effect names differ.

    python benchmarks/embedder_effects.py                    # every effect, seeds 0 to 2
    python benchmarks/embedder_effects.py structure --samples 4000
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from tempfile import TemporaryDirectory
from typing import Any

import torch

from chiasm.catalogue.provenance import measured_by
from chiasm.embedders.batches import PICTURE_TO_PICTURE, PICTURE_TO_VIEW, Batches
from chiasm.embedders.building import BuiltEmbedder, prepare
from chiasm.embedders.judging import judge
from chiasm.embedders.pairs import PairLike, pairs_named
from chiasm.embedders.remembered import remembered
from chiasm.embedders.sized import at_side
from chiasm.embedders.stages import Align, AnchorCosine, EncodedTogether, Everyone, Native
from chiasm.embedders.stages.schedules import AS_ANSWERED
from chiasm.embedders.teaching import Teacher
from chiasm.embedders.within import found_within
from chiasm.evaluation.committed_files import write
from chiasm.evaluation.effect import INTERVAL, paired
from chiasm.lineages.embedders import EVERY_TOKEN, MEAN
from chiasm.lineages.interleaved import averaged
from chiasm.lineages.multimodal_embedders import LATE
from chiasm.spec import Scale
from chiasm.spec.embedder import EmbedderAnswers, registered_embedders
from chiasm.training.budget import Budget

ROOT = Path(__file__).parents[1]
Measures = Callable[[BuiltEmbedder, Sequence[PairLike]], float]
Details = Callable[[BuiltEmbedder, Sequence[PairLike]], dict[str, float]]


@dataclass(frozen=True, kw_only=True)
class Effect:
    """One measurement: a system's nano answers, its baseline's, and what is read off both."""

    slug: str
    name: str
    baseline: EmbedderAnswers
    measure: Measures
    metric: str
    better: str
    differs: str
    claim: str
    data: str
    samples: int
    taught: int
    asked: int = 400
    details: Details = lambda embedder, pairs: {}
    """What is recorded of each arm beside its figure."""


def recall(embedder: BuiltEmbedder, pairs: Sequence[PairLike]) -> float:
    """Recall@10 of the embedder's own tasks, their mean."""
    return fmean(one.recalls[-1].share for one in judge(embedder, pairs, _tasks(embedder)))


def _tasks(embedder: BuiltEmbedder) -> Any:
    return embedder.model.answers.batches.tasks


def wrong_kind(embedder: BuiltEmbedder, pairs: Sequence[PairLike]) -> float:
    """Share of queries whose best document, among those of all tasks, is of other modalities than
    the one that is asked for.
    """
    tasks = _tasks(embedder)
    pool = [task.holds(pair, 0, n) for n, task in enumerate(tasks) for pair in pairs]
    documents = embedder.embed_contents(pool)
    kinds = torch.tensor([one.kind for one in pool])
    wrong = []
    for number, task in enumerate(tasks):
        asked = [task.asks(pair, 0, number) for pair in pairs]
        best = embedder.model.scores(embedder.embed_contents(asked), documents).argmax(-1)
        wanted = task.holds(pairs[0], 0, number).kind
        wrong.append(float((kinds[best] != wanted).float().mean()))
    return fmean(wrong)


def pages(embedder: BuiltEmbedder, pairs: Sequence[PairLike]) -> float:
    """Recall@10 of pages of the pairs, pictures at the embedder's own size."""
    made = embedder.model.answers.batches.pages.of(pairs)
    return fmean(one.recalls[-1].share for one in judge(embedder, made, _tasks(embedder)))


def at_every_size(embedder: BuiltEmbedder, pairs: Sequence[PairLike]) -> dict[str, float]:
    """The same from one taught model at each size, by its tokens a picture."""
    return {f"{n} x {n}": pages(at_side(embedder, n), pairs) for n in (1, 2, 3, 4)}


def other_designs(embedder: BuiltEmbedder, pairs: Sequence[PairLike]) -> float:
    """Mean average precision of a picture that looks for other pictures of its name."""
    return found_within(embedder, pairs, _within(embedder))


def gain_of_inverting(embedder: BuiltEmbedder, pairs: Sequence[PairLike]) -> float:
    """The same, less what the pictures' own vectors find."""
    own = found_within(embedder, pairs, _within(embedder), native=True)
    return other_designs(embedder, pairs) - own


def _within(embedder: BuiltEmbedder) -> int:
    return embedder.model.answers.batches.task_names.index(PICTURE_TO_PICTURE.name)


def effects() -> list[Effect]:
    """The measurements; a system may have several."""
    of = {slug: held.at(Scale.NANO) for slug, held in registered_embedders().items()}

    def taught(answers: EmbedderAnswers, objective: Any, **changes: Any) -> EmbedderAnswers:
        teaching = replace(answers.teaching, objective=objective)
        return replace(answers, teaching=teaching, **changes)

    structure, gram, unite = of["structure"], of["gram"], of["unite"]
    clamr, mined, tiir, gap = of["clamr"], of["mm-embed"], of["tiir"], of["cross-the-gap"]
    uniir = of["uniir"]
    [output] = uniir.outputs
    fused = replace(
        uniir,
        encode=tuple(replace(tower, reduce=EVERY_TOKEN) for tower in uniir.encode),
        fuse=EncodedTogether(depth=2, heads=3, ff_width=192),
        outputs=(replace(output, reduce=MEAN),),
    )
    full = averaged({Scale.NANO: tiir.encode}, {Scale.NANO: 4})[Scale.NANO]
    one_size = replace(tiir.batches, sizes=AS_ANSWERED)
    asked_within = gap.batches.tasks
    native = tuple(replace(task, inverts=Native()) for task in asked_within)
    views = (*asked_within, PICTURE_TO_VIEW)
    kept = structure.teaching.objective
    found = [
        Effect(
            slug="structure",
            name="neighbourhoods-kept",
            baseline=taught(structure, replace(kept, terms=())),
            measure=recall,
            metric="recall@10",
            better="higher",
            differs="a term that keeps the neighbourhoods of the frozen features",
            claim="with few pairs, aligners that keep neighbourhoods find more",
            data="emoji",
            samples=12_800,
            taught=800,
        ),
        Effect(
            slug="gram",
            name="volume",
            baseline=replace(gram, score=AnchorCosine()),
            measure=recall,
            metric="recall@10",
            better="higher",
            differs="the volume of all modalities' vectors, in place of cosines with the text",
            claim="aligning all modalities at once finds more than aligning each with an anchor",
            data="scenes-captions",
            samples=6_400,
            taught=4_000,
        ),
        Effect(
            slug="clamr",
            name="modality-aware-loss",
            baseline=taught(clamr, LATE),
            measure=recall,
            metric="recall@10",
            better="higher",
            differs="a positive scores as the asked modality does, negatives as their best one",
            claim="the modality-aware loss finds more than plain contrast over all tokens",
            data="scenes-captions",
            samples=3_600,
            taught=4_000,
        ),
        Effect(
            slug="unite",
            name="masked-contrast",
            baseline=taught(unite, replace(_align(unite), among=Everyone())),
            measure=recall,
            metric="recall@10",
            better="higher",
            differs="a query competes with documents of its own target's modalities alone",
            claim="masking other modalities gains a few tenths of a point",
            data="scenes-captions",
            samples=3_600,
            taught=4_000,
        ),
        Effect(
            slug="mm-embed",
            name="wrong-modality-negatives",
            baseline=replace(mined, batches=Batches(tasks=mined.batches.tasks)),
            measure=wrong_kind,
            metric="share of best documents of the wrong modality",
            better="lower",
            differs="second stage with mined negatives, those of the wrong modality among them",
            claim="modality-aware negatives make the wrong modality come first less often",
            data="scenes-captions",
            samples=2_400,
            taught=600,
            asked=200,
        ),
        Effect(
            slug="uniir",
            name="score-fusion",
            baseline=fused,
            measure=recall,
            metric="recall@10",
            better="higher",
            differs="the towers' vectors are added, in place of two layers over all their tokens",
            claim="with CLIP, score fusion finds more than feature fusion",
            data="scenes-captions",
            samples=6_400,
            taught=4_000,
        ),
        Effect(
            slug="tiir",
            name="several-sizes",
            baseline=replace(tiir, encode=full, batches=one_size),
            measure=pages,
            metric="recall@10 of pages",
            better="higher",
            differs="all pairs of 1, 4 and 16 tokens a picture are taught and 4 are searched with, "
            "in place of 16 in both",
            claim="taught at many sizes and searched with few tokens a picture, pages are found "
            "more often than with all tokens",
            data="scenes-captions",
            samples=3_600,
            taught=1_500,
            asked=300,
            details=at_every_size,
        ),
        Effect(
            slug="cross-the-gap",
            name="inverted-pictures",
            baseline=replace(gap, batches=replace(gap.batches, tasks=native)),
            measure=other_designs,
            metric="mean average precision",
            better="higher",
            differs="pictures look for other designs as pseudo-words of the text tower",
            claim="towers taught between modalities find more of one modality across the gap",
            data="emoji",
            samples=12_800,
            taught=2_400,
            asked=300,
        ),
        Effect(
            slug="cross-the-gap",
            name="without-an-intra-modal-loss",
            baseline=replace(gap, batches=replace(gap.batches, tasks=views, staged=((0, 1, 4),))),
            measure=gain_of_inverting,
            metric="gain in mean average precision by inverting",
            better="higher",
            differs="taught between modalities alone, not also between views of a picture",
            claim="an intra-modal loss shrinks what inverting gains",
            data="emoji",
            samples=12_800,
            taught=2_400,
            asked=300,
        ),
    ]
    return found


def _align(answers: EmbedderAnswers) -> Align:
    return answers.teaching.objective


def arm(
    effect: Effect, answers: EmbedderAnswers, seed: int, samples: int
) -> tuple[float, dict[str, float]]:
    """One arm's figure, and its details."""
    pairs = remembered(pairs_named(effect.data, "train")[: effect.taught])
    asked = remembered(pairs_named(effect.data, "test")[: effect.asked])
    texts = [text for pair in pairs for text in pair.texts]
    embedder = prepare(answers, [*texts, *(t.instruction for t in answers.batches.tasks)], seed)
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
    slugs = dict.fromkeys(effect.slug for effect in known)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[*slugs, []], help="systems; default: all")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--samples", type=int, help="pairs taught to each arm")
    parser.add_argument("--out", type=Path, default=ROOT / "results")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for effect in known:
        if given.names and effect.slug not in given.names:
            continue
        seeds = list(range(given.seeds))
        samples = given.samples or effect.samples
        system = registered_embedders()[effect.slug].at(Scale.NANO)
        arms: list[list[float]] = []
        details: list[list[dict[str, float]]] = []
        for answers in (system, effect.baseline):
            found = [arm(effect, answers, seed, samples) for seed in seeds]
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
            "pairs_taught": effect.taught,
            "pairs_asked": effect.asked,
            "interval": INTERVAL,
            **measured_by(Path(__file__)),
        }
        write(given.out / effect.slug / f"{effect.name}.json", record)
        print(f"{effect.slug}: {record['outcome']}, gain {record['gain']:+.4f}", flush=True)


if __name__ == "__main__":
    main()

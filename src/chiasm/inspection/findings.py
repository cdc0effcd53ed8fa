"""Findings about how a model looks, as reports: its heads, and what its stages hold."""

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

from chiasm.data.views import picture
from chiasm.inspection import figures
from chiasm.inspection.ablation import ablate
from chiasm.inspection.alignment import alignment, picture_tokens
from chiasm.inspection.correspondence import correspondence, found_at, matches
from chiasm.inspection.encoding import encoded, encoder_maps
from chiasm.inspection.heads import by_verdict, find_heads, stability
from chiasm.inspection.law import ranking
from chiasm.inspection.probe import Probed
from chiasm.inspection.readout import corrected
from chiasm.inspection.report import Report, Sheet, percent, points
from chiasm.inspection.shots import Shots
from chiasm.inspection.subject import Subject

SHOWN = 4
"""Pictures with their heads' looks."""


def heads_report(
    subject: Subject, other: Subject | None, count: int | None, *, silence: bool, seed: int
) -> Report:
    """Heads by how much and how narrowly they look, and what goes wrong without them."""
    found = find_heads(subject, maps=SHOWN)
    count = max(1, found.score.numel() // 8) if count is None else count
    chosen = found.top(count)
    said = subject.answers()
    mean_w, mean_c = found.weight.mean(0), found.concentration.mean(0)
    best = [
        [f"{la}.{h}", f"{mean_w[la, h]:.3f}", f"{mean_c[la, h]:.3f}", f"{found.score[la, h]:.4f}"]
        for la, h in chosen
    ]
    sheets = [
        Sheet(heading="the top heads", head=("layer.head", "w", "c", "score"), rows=best),
    ]
    verdicts = by_verdict(found, [one.right for one in said], count)
    sheets.append(
        Sheet(
            heading="the top heads, by verdict",
            head=("answer", "samples", "w", "c"),
            rows=[
                [
                    name,
                    f"{one['samples']:.0f}",
                    f"{one['weight']:.3f}",
                    f"{one['concentration']:.3f}",
                ]
                for name, one in verdicts.items()
            ],
        )
    )
    agreed = {"halves of the samples": stability(*found.halves(), count)}
    if other is not None:
        agreed["the other data"] = stability(found, find_heads(other), count)
    sheets.append(
        Sheet(
            heading="stability",
            head=("between", "rank correlation", "top heads shared"),
            rows=[
                [name, f"{one.rank_correlation:.3f}", percent(one.shared)]
                for name, one in agreed.items()
            ],
        )
    )
    drawn: dict[str, Any] = {"heads": partial(figures.head_map, found)}
    drawn |= _overlays(subject, found.maps, found.top(3))
    record: dict[str, Any] = {
        "samples": len(found.weight),
        "weight": mean_w.tolist(),
        "concentration": mean_c.tolist(),
        "score": found.score.tolist(),
        "profile": found.profile(),
        "top": chosen,
        "by_verdict": verdicts,
        "stability": {name: asdict(one) for name, one in agreed.items()},
    }
    if silence:
        arms = ablate(subject, found, count, seed=seed)
        record["silenced"] = [asdict(one) for one in arms]
        drawn["silenced"] = partial(figures.ablations, {one.name: one.accuracy for one in arms})
        rows = [
            [
                one.name,
                " ".join(f"{la}.{h}" for la, h in one.heads),
                percent(one.accuracy),
                points(one.lost.value, (one.lost.low, one.lost.high)),
            ]
            for one in arms
        ]
        sheets.append(
            Sheet(
                heading=f"{count} heads silenced",
                head=("which", "heads", "accuracy", "points lost"),
                rows=rows,
            )
        )
    return Report(
        title=f"Visual heads of {subject.asker.checkpoint.folder.name}",
        record=record,
        sheets=sheets,
        figures=drawn,
        notes=(
            "w: share of the last prompt row's attention on the picture; c: 1 - H(p) / ln |V|, "
            "0 even, 1 on one token; score: mean of w c. Lost: 95% interval over pictures."
        ),
    )


def _overlays(subject: Subject, maps: Sequence[Any], chosen: Sequence[Any]) -> dict[str, Any]:
    """The looks over the pictures, where the tokens of one picture stand in a grid."""
    asked = subject.examples[: len(maps)]
    if not maps or any(len(example.images) != 1 for example in asked):
        return {}
    inputs = next(subject.among(asked).batches()).inputs
    rows, columns = encoded(subject.model, inputs).grid
    if any(held.shape[-1] != rows * columns for held in maps):
        return {}
    shown = [picture(example.images[0]).convert("RGB") for example in asked]
    return {"looks": partial(figures.overlays, shown, maps, (rows, columns), chosen)}


def probe_report(name: str, found: Sequence[Probed]) -> Report:
    """Readouts at every stage beside the answers."""
    sheets = [
        Sheet(
            heading=f"{one.question} {one.classes} answers, {one.asked} pictures, "
            f"chance {percent(one.chance)}",
            head=("stage", "read out", "above chance", "taught shuffled answers"),
            rows=[
                *(
                    [
                        stage.name,
                        percent(stage.accuracy, stage.interval),
                        f"{stage.corrected:+.3f}",
                        percent(stage.shuffled),
                    ]
                    for stage in one.stages
                ),
                [
                    "the answer",
                    percent(one.answered, one.answered_interval),
                    f"{one.answered_corrected:+.3f}",
                    "",
                ],
                [
                    f"the answer, picture grey ({percent(one.prior.unchanged)} the same)",
                    percent(one.prior.accuracy),
                    f"{corrected(one.prior.accuracy, one.chance):+.3f}",
                    "",
                ],
            ],
        )
        for one in found
    ]
    return Report(
        title=f"What {name} sees and what it says",
        record={"questions": [asdict(one) for one in found]},
        sheets=sheets,
        figures={"stages": partial(figures.stages, found)},
        notes=(
            "read out: ridge regression on the mean over a picture's tokens; above chance: "
            "(accuracy - chance) / (1 - chance), chance the commonest answer's share. "
            "Intervals: Wilson, 95%."
        ),
    )


def shots_report(name: str, found: Shots) -> Report:
    """Corrupted prompts beside votes."""
    rows = [
        [one.selection, str(one.k), one.corruption, percent(one.accuracy, one.interval)]
        for one in found.arms
    ]
    for (selection, k), (most, nearest) in found.votes.items():
        rows.append([selection, str(k), "vote: commonest label", percent(most)])
        rows.append([selection, str(k), "vote: nearest label", percent(nearest)])
    copied = [
        [selection, str(k), " ".join(f"{100 * one:+.1f}" for one in rates)]
        for (selection, k), rates in found.copies.items()
    ]
    drawn: dict[str, Any] = {}
    if found.votes:
        drawn = {
            "shots": partial(figures.shot_bars, found),
            "copying": partial(figures.copying, found),
        }
    return Report(
        title=f"What {name} takes from shots",
        record={
            "arms": [asdict(one) for one in found.arms],
            "votes": [
                {"selection": s, "k": k, "commonest": most, "nearest": nearest}
                for (s, k), (most, nearest) in found.votes.items()
            ],
            "copies": [
                {"selection": s, "k": k, "by_place": rates}
                for (s, k), rates in found.copies.items()
            ],
        },
        sheets=[
            Sheet(heading="right answers", head=("shots by", "k", "prompt", "accuracy"), rows=rows),
            Sheet(
                heading="copied labels, points above another query's, first shot to last",
                head=("shots by", "k", "by place"),
                rows=copied,
            ),
        ],
        figures=drawn,
        notes="Votes never ask the model. Intervals: Wilson, 95%.",
    )


def law_report(
    subjects: Sequence[Subject],
    references: Sequence[Subject],
    scores: Sequence[float],
    *,
    pairs: int,
    ridge: float,
    seed: int,
) -> Report:
    """A and C of models that share a language model's space, and how scores follow from them."""
    names = [one.asker.checkpoint.folder.name for one in subjects]
    targets = [picture_tokens(one) for one in references]
    aligned = [alignment(picture_tokens(one), targets) for one in subjects]
    drawn = matches(pairs, seed)
    corresponding = [correspondence(encoder_maps(one.model), drawn) for one in subjects]
    record: dict[str, Any] = {
        "references": [one.asker.checkpoint.folder.name for one in references],
        "pairs": pairs,
        "settings": [
            {"model": name, "A": a, "C": c}
            for name, a, c in zip(names, aligned, corresponding, strict=True)
        ],
    }
    sheets = [
        Sheet(
            heading="alignment and correspondence",
            head=("model", "A", "C"),
            rows=[
                [name, f"{a:.4f}", f"{c:.4f}"]
                for name, a, c in zip(names, aligned, corresponding, strict=True)
            ],
        )
    ]
    if scores:
        kinds = {
            which: ranking(aligned, corresponding, scores, which, ridge)
            for which in ("A", "C", "AC")
        }
        record["law"] = {which: asdict(one) for which, one in kinds.items()}
        sheets.append(
            Sheet(
                heading="scores as the law of the other settings predicts them",
                head=("by", "Pearson", "Spearman"),
                rows=[
                    [which, f"{one.pearson:+.3f}", f"{one.spearman:+.3f}"]
                    for which, one in kinds.items()
                ],
            )
        )
    maps = encoder_maps(subjects[0].model)
    source, target = maps([drawn[0].source])[0], maps([drawn[0].target])[0]
    places = found_at(source, target, [one for one, _ in drawn[0].points])
    return Report(
        title=f"A and C of {', '.join(names)}",
        record=record,
        sheets=sheets,
        figures={
            "plane": partial(figures.law_plane, aligned, corresponding, names),
            "matched": partial(figures.matched, drawn[0], places),
        },
        notes=(
            "A: mean over picture tokens of the largest cosine with a reference's token of "
            "the same picture. C: share of keypoints found within a tenth of the picture by raw "
            "features."
        ),
    )

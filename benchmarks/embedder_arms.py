"""Published embedders and their baselines: which answers differ, and what the paper claims."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from embedder_measures import (
    Details,
    Measures,
    agreement,
    at_every_size,
    changes,
    films,
    first,
    gain_of_inverting,
    other_designs,
    pages,
    recall,
    texts_of_pictures,
    wrong_kind,
)

from chiasm.embedders.batches import (
    CHANGE_TO_PICTURE,
    PICTURE_TO_VIEW,
    TEXT_TO_FILM,
    TEXT_TO_PICTURE,
    Batches,
)
from chiasm.embedders.pairs import CaptionedPicture, PairLike
from chiasm.embedders.stages import (
    Align,
    AnchorCosine,
    EncodedTogether,
    Everyone,
    LinearHead,
    Native,
)
from chiasm.embedders.stages.schedules import AS_ANSWERED
from chiasm.encoders import EfficientNetLite0
from chiasm.lineages.embedders import EVERY_TOKEN, MEAN, SCRATCH, SUM
from chiasm.lineages.interleaved import averaged
from chiasm.lineages.multimodal_embedders import LATE
from chiasm.spec import Scale
from chiasm.spec.embedder import EmbedderAnswers, registered_embedders
from chiasm.visibility import Causal, Everything, Sight

SCENES = "scenes-captions"
Chosen = Callable[[Sequence[PairLike]], Sequence[PairLike]]


def as_they_are(pairs: Sequence[PairLike]) -> Sequence[PairLike]:
    """All of them."""
    return pairs


def few(pairs: Sequence[PairLike]) -> Sequence[PairLike]:
    """A tenth of them."""
    return pairs[: len(pairs) // 10]


def noisy(pairs: Sequence[PairLike]) -> Sequence[PairLike]:
    """All of them, three in ten with another one's words."""
    swapped = random.Random(0).sample(range(len(pairs)), 3 * len(pairs) // 10)
    told_by = dict(zip(swapped, [*swapped[1:], swapped[0]], strict=True))
    said = [pairs[told_by.get(at, at)] for at in range(len(pairs))]
    return [
        CaptionedPicture(own.id, other.concept, own.picture, other.texts)
        for own, other in zip(pairs, said, strict=True)
    ]


@dataclass(frozen=True, kw_only=True)
class Effect:
    """One measurement: a system's nano answers, its baseline's, and what is read off both."""

    slug: str
    name: str
    system: EmbedderAnswers | None = None
    """None: the nano answers as they are registered."""
    baseline: EmbedderAnswers
    differs: str
    claim: str
    measure: Measures = recall
    metric: str = "recall@10"
    better: str = "higher"
    data: str = SCENES
    samples: int
    baseline_share: float = 1.0
    """How much of that the baseline is taught."""
    taught: int = 4_000
    asked: int = 400
    details: Details = lambda embedder, pairs: {}
    """What is recorded of each arm beside its figure."""
    pairs: Chosen = as_they_are
    baseline_pairs: Chosen = as_they_are
    """What of the pairs is taught to each arm."""


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
    pcme, ret, colembed, omnibind = of["pcme"], of["ret"], of["colembed"], of["omnibind"]
    points = tuple(replace(t, reduce=replace(t.reduce, start=-20.0)) for t in pcme.encode)
    unasked = tuple(replace(task, instruction="") for task in uniir.batches.tasks)
    [item] = colembed.encode
    after = Sight(sequence=Causal(), memory=Everything())
    causal = replace(item.encoder, answers=replace(item.encoder.answers, visibility=after))
    routers = tuple(replace(router, gain=0.0) for router in omnibind.fuse.routers)
    plain = replace(omnibind.fuse, routers=routers)
    deepstyle, vista, film, projected = (
        of[slug] for slug in ("deepstyle", "vista", "frozen-in-time", "unimodal-to-multimodal")
    )
    composed = Batches(tasks=(CHANGE_TO_PICTURE,))
    apart = tuple(replace(t, project=LinearHead(out=96)) for t in deepstyle.encode)
    words, pictures = projected.encode

    def read_as(level: Any, **weights: Any) -> EmbedderAnswers:
        encoder = replace(pictures.encoder, encoder=EfficientNetLite0(level=level, **weights))
        return replace(projected, encode=(words, replace(pictures, encoder=encoder)))

    half = replace(SCRATCH, share=0.5)
    grown = replace(
        film,
        teaching=replace(
            film.teaching, stages=(replace(half, name="images"), replace(half, name="films"))
        ),
        batches=Batches(tasks=(TEXT_TO_PICTURE, TEXT_TO_FILM), staged=((0,), (1,))),
    )
    volume = Effect(
        slug="gram",
        name="volume",
        baseline=replace(gram, score=AnchorCosine()),
        differs="the volume of all modalities' vectors, in place of cosines with the text",
        claim="aligning all modalities at once finds more than aligning each with an anchor",
        samples=6_400,
    )
    drawn = Effect(
        slug="unimodal-to-multimodal",
        name="encoders-alike",
        baseline=read_as("head", weights=None),
        differs="pictures by an encoder taught on ImageNet, in place of the same as drawn",
        claim="a pair of encoders of higher CKA finds more once projected",
        data="stamps",
        samples=12_800,
        taught=800,
        asked=170,
        details=agreement,
    )
    return [
        Effect(
            slug="deepstyle",
            name="joint-network",
            system=replace(deepstyle, batches=composed),
            baseline=replace(deepstyle, encode=apart, fuse=SUM, batches=composed),
            differs="a layer joins picture and words, in place of the sum of both rankings",
            claim="a joint network finds more than a blend of rankings",
            measure=changes,
            metric="recall@1",
            data="scenes-changes",
            samples=12_800,
        ),
        Effect(
            slug="vista",
            name="taught-pictures",
            baseline=vista,
            differs="pictures are taught beside a frozen text encoder, in place of nothing",
            claim="teaching pictures alone makes them find texts, whose vectors stay",
            measure=texts_of_pictures,
            samples=3_600,
            baseline_share=0.0,
        ),
        Effect(
            slug="frozen-in-time",
            name="curriculum",
            system=grown,
            baseline=replace(film, batches=Batches(tasks=(TEXT_TO_FILM,))),
            differs="first frames, then films, in place of films from the start at equal compute",
            claim="beginning with images finds more films at equal compute",
            measure=films,
            metric="recall@1",
            data="scenes-films",
            samples=12_800,
            baseline_share=0.71,  # 4.6 GFLOPs a step of 64 images, 11.0 one of films
        ),
        drawn,
        replace(
            drawn,
            name="features-alike",
            system=read_as("map"),
            baseline=read_as("classes"),
            differs="the encoder's last map of CKA 0.50, in place of its class scores of 0.41",
        ),
        Effect(
            slug="structure",
            name="neighbourhoods-kept",
            baseline=taught(structure, replace(kept, terms=())),
            differs="a term that keeps the neighbourhoods of the frozen features",
            claim="with few pairs, aligners that keep neighbourhoods find more",
            data="emoji",
            samples=12_800,
            taught=800,
        ),
        volume,
        replace(volume, name="volume-first", measure=first, metric="recall@1"),
        Effect(
            slug="align",
            name="more-noise",
            baseline=of["align"],
            differs="ten times as many pairs, three in ten of them with another one's words",
            claim="many noisy pairs teach more than few clean ones in the same number of steps",
            samples=6_400,
            pairs=noisy,
            baseline_pairs=few,
        ),
        Effect(
            slug="pcme",
            name="distributions",
            baseline=replace(pcme, encode=points),
            differs="deviations are learned, in place of points",
            claim="probabilistic embeddings find more than points",
            samples=6_400,
        ),
        Effect(
            slug="ret",
            name="several-layers",
            baseline=replace(ret, fuse=replace(ret.fuse, layers=1)),
            differs="every layer of both towers is read, in place of the last ones",
            claim="fusion from several layers finds more than from the last layer",
            samples=3_600,
        ),
        Effect(
            slug="colembed",
            name="bidirectional",
            baseline=replace(colembed, encode=(replace(item, encoder=causal),)),
            differs="every token sees every other, in place of those before it",
            claim="bidirectional attention finds more than causal at equal steps",
            samples=3_600,
        ),
        Effect(
            slug="omnibind",
            name="routed",
            baseline=taught(
                omnibind, replace(omnibind.teaching.objective, fusion=plain), fuse=plain
            ),
            differs="routers weigh the spaces, in place of their plain average",
            claim="routed spaces find more than averaged ones",
            data="stamps",
            samples=6_400,
            taught=800,
            asked=170,
        ),
        Effect(
            slug="uniir",
            name="instructed",
            baseline=replace(uniir, batches=replace(uniir.batches, tasks=unasked)),
            differs="queries name what is looked for",
            claim="without instructions the wrong modality comes first more often",
            measure=wrong_kind,
            metric="share of best documents of the wrong modality",
            better="lower",
            samples=6_400,
        ),
        Effect(
            slug="clamr",
            name="modality-aware-loss",
            baseline=taught(clamr, LATE),
            differs="a positive scores as the asked modality does, negatives as their best one",
            claim="the modality-aware loss finds more than plain contrast over all tokens",
            samples=3_600,
        ),
        Effect(
            slug="unite",
            name="masked-contrast",
            baseline=taught(unite, replace(_align(unite), among=Everyone())),
            differs="a query competes with documents of its own target's modalities alone",
            claim="masking other modalities gains a few tenths of a point",
            samples=3_600,
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
            samples=2_400,
            taught=600,
            asked=200,
        ),
        Effect(
            slug="uniir",
            name="score-fusion",
            baseline=fused,
            differs="the towers' vectors are added, in place of two layers over all their tokens",
            claim="with CLIP, score fusion finds more than feature fusion",
            samples=6_400,
        ),
        Effect(
            slug="tiir",
            name="several-sizes",
            baseline=replace(tiir, encode=full, batches=one_size),
            measure=pages,
            metric="recall@10 of pages",
            differs="all pairs of 1, 4 and 16 tokens a picture are taught and 4 are searched with, "
            "in place of 16 in both",
            claim="taught at many sizes and searched with few tokens a picture, pages are found "
            "more often than with all tokens",
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
            differs="taught between modalities alone, not also between views of a picture",
            claim="an intra-modal loss shrinks what inverting gains",
            data="emoji",
            samples=12_800,
            taught=2_400,
            asked=300,
        ),
    ]


def _align(answers: EmbedderAnswers) -> Align:
    return answers.teaching.objective

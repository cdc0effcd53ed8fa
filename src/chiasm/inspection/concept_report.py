"""A word's concepts as a report: atoms in words and pictures, beside other dictionaries."""

import html
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from chiasm.evaluation.report import embedded
from chiasm.inspection.concepts import (
    Concept,
    Said,
    at_random,
    grounded,
    named,
    overlap,
    states_saying,
    usual_word,
    vocabulary,
    word_score,
)
from chiasm.inspection.dictionaries import Dictionary, clusters, largest, principal, semi_nmf
from chiasm.inspection.report import Report, Sheet, percent
from chiasm.inspection.subject import Subject

DRAWS = 20
"""Draws of random words, whose scores are averaged."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One dictionary's figures on states that it was not learnt from."""

    name: str
    residual: float
    overlap: float
    score: float
    random: float
    """What as many words drawn from the data score."""


def judged(
    dictionary: Dictionary, words: Sequence[Sequence[str]], held: Said, known: set[str], seed: int
) -> Judged:
    """Overlap of the words, and how well they say what is on pictures not learnt from."""
    drawn = [
        word_score(dictionary, at_random(words, known, seed + at), held.states, held.expected)
        for at in range(DRAWS)
    ]
    return Judged(
        name=dictionary.name,
        residual=dictionary.residual(held.states),
        overlap=overlap(words),
        score=word_score(dictionary, words, held.states, held.expected),
        random=fmean(drawn),
    )


def halves(said: Said) -> tuple[Said, Said]:
    """Two thirds of the states to learn from, and every third to judge by."""
    at = range(len(said.states))
    return tuple(  # type: ignore[return-value]
        Said(
            said.word,
            said.layer,
            said.states[kept],
            [said.examples[i] for i in kept],
            [said.expected[i] for i in kept],
        )
        for kept in ([i for i in at if i % 3], [i for i in at if not i % 3])
    )


def concept_report(
    subject: Subject,
    word: str | None,
    *,
    atoms: int,
    penalty: float,
    layer: int | None,
    most: int,
    max_new: int,
    seed: int,
) -> Report:
    """The concepts behind one word that the model says."""
    answers = [one.said for one in subject.answers(max_new=max_new)]
    word = usual_word(answers) if word is None else word
    taught, held = halves(states_saying(subject, answers, word, layer))
    known = vocabulary(subject.examples)
    count = min(atoms, len(taught.states))
    made = [
        semi_nmf(taught.states, count, penalty=penalty, seed=seed),
        clusters(taught.states, count, seed=seed),
        principal(taught.states, min(count, taught.states.shape[1])),
        largest(taught.states, count),
    ]
    words = [named(subject, one, known, most) for one in made]
    figures = [judged(one, w, held, known, seed) for one, w in zip(made, words, strict=True)]
    concepts = sorted(grounded(made[0], taught, words[0]), key=lambda one: -one.share)
    record: dict[str, Any] = {
        "word": word,
        "layer": taught.layer,
        "states": len(taught.states),
        "held_out": len(held.states),
        "dictionaries": [asdict(one) for one in figures],
        "concepts": [
            {
                "share": one.share,
                "words": list(one.words),
                "pictures": [taught.examples[at].id for at in one.pictures],
            }
            for one in concepts
        ],
    }
    return Report(
        title=f"What {subject.asker.checkpoint.folder.name} holds where it says {word!r}",
        record=record,
        sheets=[
            Sheet(
                heading=f"concepts of {word!r}, after layer {taught.layer}",
                head=("concept", "share", "words"),
                rows=[
                    [str(at + 1), percent(one.share), " ".join(one.words[:8])]
                    for at, one in enumerate(concepts)
                ],
            ),
            Sheet(
                heading=f"on {len(held.states)} states not learnt from",
                head=("dictionary", "residual", "overlap", "true words", "random words"),
                rows=[
                    [
                        one.name,
                        f"{one.residual:.3f}",
                        f"{one.overlap:.3f}",
                        percent(one.score),
                        percent(one.random),
                    ]
                    for one in figures
                ],
            ),
        ],
        figures={},
        more=_pictured(concepts, taught),
        notes=(
            "residual: |Z - VU|^2 / |Z|^2; overlap: mean of |Wi and Wj| / |Wi| over pairs; true "
            "words: share of words that are true of the picture, among the three best of its three "
            "most active concepts."
        ),
    )


def _pictured(concepts: Sequence[Concept], taught: Said) -> str:
    """Each concept's words and the pictures that hold most of it."""
    lines = [
        f"<tr><td>{html.escape(' '.join(one.words[:8])) or '&mdash;'}</td><td>"
        + " ".join(f'<img alt="" src="{embedded(taught.examples[at])}">' for at in one.pictures)
        + "</td></tr>"
        for one in concepts
    ]
    return f'<h2>Concepts in pictures</h2><table class="left">{"".join(lines)}</table>'

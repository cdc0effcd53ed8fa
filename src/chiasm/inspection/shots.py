"""What a model takes from examples in its prompt: corrupted shots, and votes that need no model.

What Makes Multimodal In-Context Learning Work? A query (picture, question) is asked behind k shots
(picture, question, answer) as one conversation, and again with one thing of the prompt corrupted;
neither the number of shots nor that of a picture's tokens changes. Shots are drawn at random or are
the nearest by picture, by words, or both (RICES). Two controls never ask the model: the commonest
of the k answers, and the nearest shot's.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from statistics import fmean

import torch
from jaxtyping import Float
from torch import Tensor

from chiasm.data.example import Example, Turn
from chiasm.errors import Misuse
from chiasm.evaluation.interval import wilson
from chiasm.inspection.encoding import encoded
from chiasm.inspection.subject import Subject, grey

SELECTIONS = ("random", "picture", "words", "both")


@dataclass(frozen=True)
class Episode:
    """One query and its shots, the nearest last; all are single questions."""

    query: Example
    shots: Sequence[Example]

    @property
    def labels(self) -> list[str]:
        return [shot.turns[-1].answer for shot in self.shots]

    def prompt(self) -> Example:
        """One conversation: every shot's picture, question and answer, then the query's."""
        asked = [*self.shots, self.query]
        turns = tuple(
            Turn(one.turns[-1].question, one.turns[-1].answer, (0,) * len(one.images))
            for one in asked
        )
        return Example(self.query.id, tuple(i for one in asked for i in one.images), turns)


Corrupt = Callable[[Episode, Random, Sequence[str]], Episode]


def _blank_shots(of: Episode, draw: Random, known: Sequence[str]) -> Episode:
    return replace(of, shots=[_unseen(shot) for shot in of.shots])


def _mixed_pictures(of: Episode, draw: Random, known: Sequence[str]) -> Episode:
    order = shuffled(len(of.shots), draw)
    shown = [of.shots[at].images for at in order]
    return replace(of, shots=[replace(s, images=i) for s, i in zip(of.shots, shown, strict=True)])


def _blank_query(of: Episode, draw: Random, known: Sequence[str]) -> Episode:
    return replace(of, query=_unseen(of.query))


def _mixed_labels(of: Episode, draw: Random, known: Sequence[str]) -> Episode:
    labels = [of.labels[at] for at in shuffled(len(of.shots), draw)]
    return replace(of, shots=[_labelled(s, a) for s, a in zip(of.shots, labels, strict=True)])


def _random_labels(of: Episode, draw: Random, known: Sequence[str]) -> Episode:
    return replace(of, shots=[_labelled(shot, draw.choice(known)) for shot in of.shots])


def _words_only(of: Episode, draw: Random, known: Sequence[str]) -> Episode:
    return _blank_query(_blank_shots(of, draw, known), draw, known)


CORRUPTIONS: dict[str, Corrupt] = {
    "intact": lambda of, draw, known: of,
    "shots' pictures grey": _blank_shots,
    "shots' pictures shuffled": _mixed_pictures,
    "query's picture grey": _blank_query,
    "labels shuffled": _mixed_labels,
    "labels random": _random_labels,
    "all pictures grey": _words_only,
}
"""A prompt as it is, and six that differ from it in one thing."""


def shuffled(count: int, draw: Random) -> list[int]:
    """An order that is drawn, and is not the given one where there is another."""
    order = list(range(count))
    while count > 1 and order == list(range(count)):
        draw.shuffle(order)
    return order


def _unseen(example: Example) -> Example:
    return replace(example, images=tuple(map(grey, example.images)))


def _labelled(example: Example, answer: str) -> Example:
    return replace(example, turns=(replace(example.turns[-1], answer=answer),))


def vote(episode: Episode) -> str:
    """The commonest label; of several, that of the nearest shot among them."""
    counted = Counter(episode.labels)
    most = max(counted.values())
    return next(label for label in reversed(episode.labels) if counted[label] == most)


def copied(episode: Episode) -> str:
    """The nearest shot's label."""
    return episode.labels[-1]


@torch.no_grad()
def picture_vectors(subject: Subject) -> Float[Tensor, "item width"]:
    """The model's own features of each example's picture, averaged and centred, of length one."""
    parts = [encoded(subject.model, asked.inputs).features.mean(1) for asked in subject.batches()]
    found = torch.cat(parts).double().cpu()
    return torch.nn.functional.normalize(found - found.mean(0), dim=1)


def word_vectors(examples: Sequence[Example]) -> Float[Tensor, "item word"]:
    """Which words each question has, of length one."""
    asked = [set(one.turns[-1].question.lower().split()) for one in examples]
    index = {word: at for at, word in enumerate(sorted(set().union(*asked)))}
    found = torch.zeros(len(examples), len(index), dtype=torch.float64)
    for row, words in enumerate(asked):
        found[row, [index[word] for word in sorted(words)]] = 1
    return torch.nn.functional.normalize(found, dim=1)


def nearness(subject: Subject, pool: Sequence[Example], how: str) -> Tensor | None:
    """`[query, pool]` cosines by which shots are chosen; None for a choice at random.

    Raises:
        Misuse: no such way.
    """
    if how not in SELECTIONS:
        raise Misuse(f"shots are chosen by {', '.join(SELECTIONS)}, not {how!r}")
    if how == "random":
        return None
    both, count = [*subject.examples, *pool], len(subject.examples)
    found = torch.zeros(count, len(pool), dtype=torch.float64)
    if how in ("picture", "both"):
        vectors = picture_vectors(subject.among(both))
        found += vectors[:count] @ vectors[count:].T
    if how in ("words", "both"):
        vectors = word_vectors(both)
        found += vectors[:count] @ vectors[count:].T
    return found


def episodes(
    queries: Sequence[Example],
    pool: Sequence[Example],
    k: int,
    near: Tensor | None,
    *,
    seed: int = 0,
) -> list[Episode]:
    """Each query with `k` shots of other pictures, the nearest last, or drawn by `seed`.

    Raises:
        Misuse: the pool is too small.
    """
    if k < 0 or len(pool) <= k:
        raise Misuse(f"{k} shots of a pool of {len(pool)}; give 0 to {len(pool) - 1}")
    found: list[Episode] = []
    for row, query in enumerate(queries):
        own = [at for at, one in enumerate(pool) if one.id != query.id]
        if near is None:
            chosen = Random(f"{seed}/{query.id}/{row}").sample(own, k)
        else:
            chosen = sorted(own, key=lambda at: (-float(near[row, at]), at))[:k][::-1]
        found.append(Episode(query, [pool[at] for at in chosen]))
    return found


@dataclass(frozen=True, kw_only=True)
class Arm:
    """Right answers under one selection, number of shots and corruption."""

    selection: str
    k: int
    corruption: str
    accuracy: float
    interval: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Shots:
    """What was found: the arms, and of each selection and k the controls and copying."""

    arms: Sequence[Arm]
    votes: dict[tuple[str, int], tuple[float, float]]
    """Accuracy of the commonest label, and of the nearest shot's."""
    copies: dict[tuple[str, int], list[float]]
    """By place from first to last: how often the answer to the intact prompt is that shot's label,
    less how often that label is another query's answer (the same place, the next query)."""


def try_shots(
    subject: Subject,
    pool: Sequence[Example],
    *,
    ks: Sequence[int] = (0, 4),
    selections: Sequence[str] = ("random", "both"),
    corruptions: Sequence[str] = tuple(CORRUPTIONS),
    seed: int = 0,
    max_new: int = 8,
) -> Shots:
    """Every query under each selection, number of shots and corruption.

    Without shots only the query can be corrupted; those arms stand once, under "none".
    """
    unknown = [name for name in corruptions if name not in CORRUPTIONS]
    if unknown:
        raise Misuse(f"no corruption {unknown[0]!r}; there are {', '.join(CORRUPTIONS)}")
    known = sorted({one.turns[-1].answer for one in pool})
    arms: list[Arm] = []
    votes: dict[tuple[str, int], tuple[float, float]] = {}
    copies: dict[tuple[str, int], list[float]] = {}

    def asked(of: Sequence[Episode], selection: str, k: int, name: str) -> list[str]:
        spoilt = [
            CORRUPTIONS[name](one, Random(f"{seed}/{name}/{at}"), known)
            for at, one in enumerate(of)
        ]
        prompts = [one.prompt() for one in spoilt]
        said = subject.among(prompts).answers(max_new=max_new, batch=32)
        right = sum(one.right for one in said)
        arms.append(
            Arm(
                selection=selection,
                k=k,
                corruption=name,
                accuracy=right / len(said),
                interval=wilson(right, len(said)),
            )
        )
        return [one.said for one in said]

    if 0 in ks:
        bare = episodes(subject.examples, pool, 0, None)
        for name in ("intact", "query's picture grey"):
            if name in corruptions:
                asked(bare, "none", 0, name)
    for selection in selections:
        near = nearness(subject, pool, selection)
        for k in sorted(set(ks) - {0}):
            made = episodes(subject.examples, pool, k, near, seed=seed)
            truth = [one.query.turns[-1].answer for one in made]
            votes[selection, k] = (
                fmean(vote(one) == true for one, true in zip(made, truth, strict=True)),
                fmean(copied(one) == true for one, true in zip(made, truth, strict=True)),
            )
            for name in corruptions:
                said = asked(made, selection, k, name)
                if name == "intact":
                    copies[selection, k] = copy_rates(made, said)
    return Shots(arms=arms, votes=votes, copies=copies)


def copy_rates(made: Sequence[Episode], said: Sequence[str]) -> list[float]:
    """By place: the share of answers that are the label there, less that share among the labels of
    the next query's shots, which the answer cannot have copied.
    """
    count = len(made)
    others = [made[(at + 1) % count].labels for at in range(count)]
    return [
        fmean(said[i] == made[i].labels[place] for i in range(count))
        - fmean(said[i] == others[i][place] for i in range(count))
        for place in range(len(made[0].labels))
    ]

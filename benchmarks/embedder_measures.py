"""What is read off an embedder that was taught, on pairs that it has not seen."""

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from chiasm.embedders.batches import (
    CHANGE_TO_PICTURE,
    PICTURE_TO_PICTURE,
    PICTURE_TO_TEXT,
    TEXT_TO_FILM,
    Task,
)
from chiasm.embedders.building import BuiltEmbedder
from chiasm.embedders.contents import Content, Part, shown, words
from chiasm.embedders.judging import judge
from chiasm.embedders.pairs import PairLike
from chiasm.embedders.sized import at_side
from chiasm.embedders.within import found_within
from chiasm.evaluation.representations import linear_cka

Measures = Callable[[BuiltEmbedder, Sequence[PairLike]], float]
Details = Callable[[BuiltEmbedder, Sequence[PairLike]], dict[str, float]]


def recall(embedder: BuiltEmbedder, pairs: Sequence[PairLike]) -> float:
    """Recall@10 of the embedder's own tasks, their mean."""
    return fmean(one.recalls[-1].share for one in judge(embedder, pairs, _tasks(embedder)))


def first(embedder: BuiltEmbedder, pairs: Sequence[PairLike]) -> float:
    """Recall@1, likewise."""
    return fmean(one.recalls[0].share for one in judge(embedder, pairs, _tasks(embedder)))


def changes(embedder: BuiltEmbedder, pairs: Sequence[PairLike]) -> float:
    """Recall@1 of what comes of a picture and a change."""
    return _first_of(embedder, pairs, CHANGE_TO_PICTURE)


def films(embedder: BuiltEmbedder, pairs: Sequence[PairLike]) -> float:
    """Recall@1 of films by words."""
    return _first_of(embedder, pairs, TEXT_TO_FILM)


def texts_of_pictures(embedder: BuiltEmbedder, pairs: Sequence[PairLike]) -> float:
    """Recall@10 of texts by pictures."""
    [found] = judge(embedder, pairs, [PICTURE_TO_TEXT])
    return found.recalls[-1].share


def _first_of(embedder: BuiltEmbedder, pairs: Sequence[PairLike], task: Task) -> float:
    [found] = judge(embedder, pairs, [task])
    return found.recalls[0].share


def agreement(embedder: BuiltEmbedder, pairs: Sequence[PairLike]) -> dict[str, float]:
    """Linear CKA of what both towers give before their heads."""
    return {"cka": linear_cka(*spaces_of(embedder, pairs))}


def spaces_of(embedder: BuiltEmbedder, pairs: Sequence[PairLike]) -> tuple[Tensor, Tensor]:
    """`[pair, width]` of texts and of pictures: what their encoders give, tokens averaged."""
    texts = [words(pair.texts[0]) for pair in pairs]
    pictures = [shown(pair.picture) for pair in pairs]
    return _encoded(embedder, "text", texts), _encoded(embedder, "image", pictures)


@torch.inference_mode()
def _encoded(embedder: BuiltEmbedder, tower: str, parts: Sequence[Part]) -> Tensor:
    encoder, reader = embedder.model.encoders[tower].eval(), embedder.readers[tower]
    means: list[Tensor] = []
    for first in range(0, len(parts), 64):
        contents = [Content(parts=(one,)) for one in parts[first : first + 64]]
        states = encoder(reader.read(contents))
        valid = states.valid.unsqueeze(-1)
        means.append((states.tokens * valid).sum(1) / valid.sum(1))
    return torch.cat(means)


def _tasks(embedder: BuiltEmbedder) -> Any:
    return embedder.model.answers.batches.tasks


def wrong_kind(embedder: BuiltEmbedder, pairs: Sequence[PairLike]) -> float:
    """Share of queries whose best document, among those of all tasks, is of other modalities than
    the one that is asked for. Documents that hold a part of the query itself do not count.
    """
    tasks = _tasks(embedder)
    pool = [task.holds(pair, 0, n) for n, task in enumerate(tasks) for pair in pairs]
    documents = embedder.embed_contents(pool)
    kinds = torch.tensor([one.kind for one in pool])
    wrong = []
    for number, task in enumerate(tasks):
        asked = [task.asks(pair, 0, number) for pair in pairs]
        own = torch.tensor([[bool({*q.parts} & {*d.parts}) for d in pool] for q in asked])
        scores = embedder.model.scores(embedder.embed_contents(asked), documents)
        best = scores.masked_fill(own, -torch.inf).argmax(-1)
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

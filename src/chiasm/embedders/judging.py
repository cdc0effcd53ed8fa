"""How well an embedder finds a picture by its text and a text by its picture, and at what cost."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from chiasm.embedders.alike import together
from chiasm.embedders.batches import PICTURE_TO_TEXT, TEXT_TO_PICTURE, Task
from chiasm.embedders.building import BuiltEmbedder
from chiasm.embedders.contents import Content
from chiasm.embedders.pairs import PairLike
from chiasm.errors import Misuse
from chiasm.evaluation.interval import wilson
from chiasm.retrieval.embedding import Distribution, Embedding, Multi, take

DEPTHS = (1, 5, 10)
ROWS = 128
"""Queries that are scored at a time."""
REPEATS = 5
"""Queries that are timed one by one."""


@dataclass(frozen=True, kw_only=True)
class Recall:
    """Of so many queries, how many found a right document among the first `depth`."""

    depth: int
    right: int
    count: int
    chance: float
    """Of documents in random order."""

    @property
    def share(self) -> float:
        return self.right / self.count

    @property
    def interval(self) -> tuple[float, float]:
        return wilson(self.right, self.count)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One direction's recalls, and what search costs there."""

    task: str
    documents: int
    recalls: tuple[Recall, ...]
    bytes_per_document: float
    """Of numbers in four bytes each."""
    index_ms: float
    """To embed one document."""
    query_ms: float
    """To embed one query and score all documents; the median."""

    def entries(self) -> dict[str, Any]:
        """As JSON holds it."""
        held = asdict(self)
        for entry, recall in zip(held["recalls"], self.recalls, strict=True):
            low, high = recall.interval
            entry |= {"recall": recall.share, "low": low, "high": high}
        return held


def judge(
    embedder: BuiltEmbedder,
    pairs: Sequence[PairLike],
    tasks: Sequence[Task] = (TEXT_TO_PICTURE, PICTURE_TO_TEXT),
) -> list[Judged]:
    """Each task's recalls over these pairs, every pair's document a candidate.

    Right are a pair's own document, those equal to it, and those of pairs of one name. An
    embedder's own instruction stands where it knows the task. A document that ties with the right
    one counts as before it.
    """
    if len(pairs) < 2:
        raise Misuse(f"{len(pairs)} pairs leave nothing to choose from; give at least 2")
    return [_judged(embedder, pairs, _known(embedder, task)) for task in tasks]


def _known(embedder: BuiltEmbedder, task: Task) -> tuple[Task, int]:
    """The embedder's own task of the same parts, if it has one, and its number."""
    for number, own in enumerate(embedder.model.answers.batches.tasks):
        if (own.query, own.document) == (task.query, task.document):
            return own, number
    return task, 0


def _judged(embedder: BuiltEmbedder, pairs: Sequence[PairLike], of: tuple[Task, int]) -> Judged:
    task, number = of
    asked = [task.asks(pair, 0, number) for pair in pairs]
    held = [task.holds(pair, 0, number) for pair in pairs]
    began = time.perf_counter()
    documents = embedder.embed_contents(held)
    index = (time.perf_counter() - began) / len(held)
    queries: Any = embedder.embed_contents(asked)
    names = [pair.texts[0] for pair in pairs]
    same = together(
        [(name, one.parts) for name, one in zip(names, asked, strict=True)],
        [(name, one.parts) for name, one in zip(names, held, strict=True)],
    )
    places = torch.cat(
        [
            place_of_right(embedder.model.scores(take(queries, rows), documents), same[rows])
            for rows in torch.arange(len(pairs)).split(ROWS)
        ]
    )
    times = [_query_time(embedder, content, documents) for content in asked[:REPEATS]]
    relevant = same.sum(-1).float().mean().item()
    return Judged(
        task=task.name,
        documents=len(held),
        recalls=tuple(
            Recall(
                depth=depth,
                right=int((places < depth).sum()),
                count=len(asked),
                chance=chance(len(held), relevant, depth),
            )
            for depth in DEPTHS
        ),
        bytes_per_document=size_of(documents) / len(held),
        index_ms=1000 * index,
        query_ms=1000 * sorted(times)[len(times) // 2],
    )


def place_of_right(scores: Tensor, right: Tensor) -> Tensor:
    """How many wrong documents score at least as high as the best right one."""
    best = scores.masked_fill(~right, -torch.finfo(scores.dtype).max).amax(-1, keepdim=True)
    return ((scores >= best) & ~right).sum(-1)


def chance(documents: int, relevant: float, depth: int) -> float:
    """1 - (1 - relevant / documents)^depth: recall of a random order, nearly."""
    return 1 - (1 - min(relevant / documents, 1.0)) ** min(depth, documents)


def size_of(embedding: Embedding) -> int:
    """Bytes of all its numbers as float32; padding is not counted."""
    if isinstance(embedding, Distribution):
        return 4 * (embedding.mean.numel() + embedding.log_sigma.numel())
    if isinstance(embedding, Multi):
        return 4 * int(embedding.valid.sum()) * embedding.vectors.shape[-1]
    return 4 * embedding.vectors.numel()


def _query_time(embedder: BuiltEmbedder, content: Content, documents: Embedding) -> float:
    began = time.perf_counter()
    embedder.model.scores(embedder.embed_contents([content]), documents)
    return time.perf_counter() - began

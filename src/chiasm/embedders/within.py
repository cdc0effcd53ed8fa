"""How well an embedder finds other items of a kind by one of that kind."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from chiasm.embedders.alike import together
from chiasm.embedders.building import BuiltEmbedder
from chiasm.embedders.pairs import PairLike
from chiasm.errors import Misuse


def found_within(
    embedder: BuiltEmbedder, pairs: Sequence[PairLike], task: int, *, native: bool = False
) -> float:
    """Mean average precision of a task whose queries and documents are of one kind.

    Every pair asks for the others of its name; its own document is left out. With `native`, a query
    is embedded as a document is, so that no inversion replaces its vector.

    Raises:
        Misuse: no name is borne twice.
    """
    of = embedder.model.answers.batches.tasks[task]
    documents = embedder.embed_contents([of.holds(pair, 0, task) for pair in pairs])
    queries = documents
    if not native:
        queries = embedder.embed_contents([of.asks(pair, 0, task) for pair in pairs])
    names = [(pair.texts[0], pair.id) for pair in pairs]
    right = together(names, names) & ~torch.eye(len(pairs), dtype=torch.bool)
    asked = right.any(-1)
    if not bool(asked.any()):
        raise Misuse(f"none of {len(pairs)} pairs shares its name with another; give more")
    scores = embedder.model.scores(queries, documents).float().cpu()
    scores = scores.masked_fill(
        torch.eye(len(pairs), dtype=torch.bool), -torch.finfo(scores.dtype).max
    )
    return float(average_precision(scores[asked], right[asked]).mean())


def average_precision(
    scores: Float[Tensor, "query document"], right: Bool[Tensor, "query document"]
) -> Float[Tensor, " query"]:
    """mean over right documents of (right ones up to it) / (its rank); every query has one.

    A wrong document that ties with a right one counts as before it.
    """
    wrong_first = right.long().argsort(dim=-1, stable=True)
    order = scores.gather(-1, wrong_first).argsort(dim=-1, descending=True, stable=True)
    hits = right.gather(-1, wrong_first.gather(-1, order)).float()
    rank = torch.arange(1, scores.shape[-1] + 1)
    return (hits * hits.cumsum(-1) / rank).sum(-1) / hits.sum(-1)

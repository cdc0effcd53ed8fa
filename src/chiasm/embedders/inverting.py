"""Queries that search as the other modality's vectors: each is optimised by itself."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor

from chiasm.embedders.contents import Content
from chiasm.embedders.model import Given
from chiasm.embedders.stages.inverted import Place
from chiasm.errors import Misuse
from chiasm.retrieval.embedder import Role
from chiasm.retrieval.embedding import Embedding, Single

if TYPE_CHECKING:
    from chiasm.embedders.building import BuiltEmbedder


@dataclass(frozen=True)
class Inverted:
    """What became of some queries."""

    vectors: Float[Tensor, "query out"]
    """What they search with."""
    learned: Float[Tensor, "query count width"]
    """The pseudo-words or pseudo-patches."""
    losses: Float[Tensor, "step query"]
    """1 - cos before each step."""


def inverted(
    embedder: "BuiltEmbedder", contents: Sequence[Content], own: Embedding, chunk: int
) -> Embedding:
    """The embedding with queries of tasks that invert replaced; documents stay as they are.

    Raises:
        Misuse: a query to invert has more than one vector.
    """
    tasks = embedder.model.answers.batches.tasks
    turned: dict[Any, list[int]] = {}
    for at, content in enumerate(contents):
        how = tasks[content.task].inverts
        if content.role is Role.QUERY and how.turns:
            turned.setdefault(how, []).append(at)
    if not turned:
        return own
    if not isinstance(own, Single):
        raise Misuse(f"a {type(own).__name__} an item cannot be inverted; give one vector an item")
    vectors = own.vectors.clone()
    for how, places in turned.items():
        for first in range(0, len(places), chunk):
            some = places[first : first + chunk]
            vectors[some] = invert(embedder, how, own.vectors[some]).vectors
    return Single(vectors=vectors)


def invert(embedder: "BuiltEmbedder", how: Any, targets: Float[Tensor, "query out"]) -> Inverted:
    """`how` (an inversion of `chiasm.embedders.stages`) applied to queries' own vectors.

    The encoders are only read: no gradient reaches a weight. Queries share a batch, not a loss.
    """
    model, count = embedder.model, len(targets)
    known = [tower.name for tower in model.answers.encode]
    if how.into not in known:
        raise Misuse(f"no tower {how.into!r} to invert into; there are {', '.join(known)}")
    taught = model.training
    model.eval()
    try:
        # An inference tensor, such as a stored vector, could not be differentiated against.
        with torch.inference_mode(False), torch.enable_grad():
            place = how.place(model.encoders[how.into], embedder.tokenizers[how.into])
            read = embedder.readers[how.into].read([how.content()] * count)
            given = Given(count, {how.into: (torch.arange(count), read)}).to(model.device)
            return _descended(model, how, given, place, targets.clone().detach())
    finally:
        model.train(taught)


def _descended(model: Any, how: Any, given: Given, place: Place, targets: Tensor) -> Inverted:
    # The device and the precision of the tower's weights.
    weight = next(place.module.parameters())
    learned = how.start(given.count, place.width).to(weight).requires_grad_()
    adam = torch.optim.AdamW([learned], lr=how.learning_rate, weight_decay=how.weight_decay)
    losses: list[Tensor] = []

    def vectors() -> Tensor:
        with entering(place, learned):
            return model(given).embedding.vectors

    for _ in range(how.steps):
        loss = 1 - torch.cosine_similarity(vectors(), targets, dim=-1)
        (learned.grad,) = torch.autograd.grad(loss.sum(), learned)
        adam.step()
        losses.append(loss.detach())
    with torch.no_grad():
        return Inverted(vectors(), learned.detach(), torch.stack(losses))


@contextmanager
def entering(place: Place, learned: Tensor) -> Iterator[None]:
    """While it lasts, this thread's passes go on with learned vectors at the place."""
    caller = threading.get_ident()  # other threads may embed with the same tower meanwhile

    def hook(module: Any, inputs: tuple[Any, ...], output: Tensor) -> Tensor | None:
        if threading.get_ident() != caller:
            return None
        return place.put(inputs[0], output, learned)

    handle = place.module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()

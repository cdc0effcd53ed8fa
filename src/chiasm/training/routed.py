"""What re-routing asks of a model: how it routes samples, and which it answers rightly."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol, cast

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from chiasm.asking import asked_of, one_each
from chiasm.errors import Misuse
from chiasm.model import Model
from chiasm.stream import Asked, Features, Inputs
from chiasm.training.rerouting import NeighbourLoss, References, Rerouting

Collated = Callable[[Sequence[int]], Inputs]
"""The batch of these samples of a set, with their labels."""


class Routes(Protocol):
    """A connector that weighs experts."""

    def weights(self, features: Features, asked: Asked | None) -> Tensor: ...


@torch.no_grad()
def routed(
    model: Model, inputs: Inputs
) -> tuple[Float[Tensor, "batch expert"], Float[Tensor, "batch width"]]:
    """The routing of every sample by the model's own router, the mean over its pictures; and what
    its neighbours are found by, the mean of the host's embeddings of the prompt's words.

    Raises Misuse where no router weighs experts, or a sample shows no picture.
    """
    routes = getattr(model.connector, "weights", None)
    if routes is None or not model.answers.connector.conditioned or model.encoder is None:
        raise Misuse(
            "this model's connector weighs no experts for a question; choose a system whose "
            "encoders are weighed, such as r2-t2"
        )
    if inputs.images is None or inputs.owners is None or bool((inputs.owners < 0).all(1).any()):
        raise Misuse("a sample shows no picture, so there is nothing to route; leave it out")
    asked = asked_of(inputs, model.decoder.embed(inputs.ids), None)
    features = cast(Features, model.encoder(inputs.images, inputs.image_valid))
    features, pairs = one_each(features, inputs.owners)
    r = cast(Routes, model.connector).weights(features, asked).unflatten(0, pairs.shape)
    shown = (pairs >= 0).unsqueeze(-1).to(r.dtype)
    words = asked.embeddings.unflatten(0, pairs.shape)[:, 0]
    held = asked.valid.unflatten(0, pairs.shape)[:, 0].unsqueeze(-1).to(words.dtype)
    key = (words * held).sum(1) / held.sum(1).clamp(min=1)
    return (r * shown).sum(1) / shown.sum(1), key


def sample_losses(model: Model, inputs: Inputs) -> Float[Tensor, " batch"]:
    """The mean cross-entropy of each sample's labels. Raises Misuse where there are none."""
    labels = _labels(inputs)
    scores = model(inputs).float().transpose(1, 2)
    each = torch.nn.functional.cross_entropy(scores, labels, ignore_index=-100, reduction="none")
    return each.sum(1) / (labels >= 0).sum(1).clamp(min=1)


@torch.no_grad()
def right(model: Model, inputs: Inputs) -> Bool[Tensor, " batch"]:
    """Whether every label of a sample is the model's first choice, given those before it. Raises
    Misuse where there are none.
    """
    labels = _labels(inputs)
    taught = labels >= 0
    return ((model(inputs).argmax(-1) == labels) | ~taught).all(1) & taught.any(1)


def _labels(inputs: Inputs) -> Tensor:
    if inputs.labels is None:
        raise Misuse("these inputs carry no labels; collate examples with their answers")
    return inputs.labels


def references_of(
    model: Model, collated: Collated, count: int, *, batch: int = 16
) -> tuple[References, tuple[int, ...]]:
    """Of samples 0 to `count` those that the model answers rightly, and which they are.

    Raises Misuse where it answers none of them.
    """
    kept: list[int] = []
    routings: list[Tensor] = []
    keys: list[Tensor] = []
    for start in range(0, count, batch):
        samples = range(start, min(start + batch, count))
        inputs = collated(samples)
        good = right(model, inputs)
        routing, key = routed(model, inputs)
        kept += [sample for sample, well in zip(samples, good.tolist(), strict=True) if well]
        routings.append(routing[good])
        keys.append(key[good])
    if not kept:
        raise Misuse(
            f"the model answers none of {count} samples rightly, so that no neighbour went well; "
            "give it samples that it can answer"
        )
    return References(torch.cat(keys), torch.cat(routings)), tuple(kept)


def neighbour_loss(model: Model, collated: Collated, kept: Sequence[int]) -> NeighbourLoss:
    """The losses of references, all under one routing; no parameter gets a gradient of them."""

    def loss(routing: Tensor, index: Tensor) -> Tensor:
        inputs = collated([kept[at] for at in index.tolist()])
        return sample_losses(model, replace(inputs, routing=routing.expand(len(index), -1)))

    return loss


def rerouted(
    model: Model, inputs: Inputs, references: References, loss: NeighbourLoss, method: Rerouting
) -> Inputs:
    """The inputs with a routing for every sample, each found by itself; no weight changes, and no
    label of theirs is read (R2-T2, arXiv 2502.20395).
    """
    routing, keys = routed(model, inputs)
    found = [method.reroute(r, key, references, loss) for r, key in zip(routing, keys, strict=True)]
    return replace(inputs, routing=torch.stack(found))

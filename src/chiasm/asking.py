"""What is asked about each image of a batch, for connectors that read it."""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from chiasm.stream import Asked, Features, Inputs, Modality, Role
from chiasm.stream.table import TokenTable, take


def one_each(features: Features, owners: Int[Tensor, "batch item"]) -> tuple[Features, Tensor]:
    """Features of every (sample, image) pair by itself, and who owns them now.

    Samples may share an encoded image, but not what is made of it once their questions are read.
    """
    pairs = owners.clamp(min=0).flatten()
    places = torch.arange(pairs.numel(), device=owners.device).view_as(owners)
    own = replace(
        features,
        tokens=features.tokens[pairs],
        valid=None if features.valid is None else features.valid[pairs],
        taps=tuple(tap[pairs] for tap in features.taps),
        planned=None if features.planned is None else features.planned[pairs],
    )
    return own, places.masked_fill(owners < 0, -1)


def asked_of(
    inputs: Inputs,
    embeddings: Float[Tensor, "batch token width"],
    browse: Callable[[], Float[Tensor, "batch item width"]] | None,
) -> Asked:
    """The prompt's text rows, once for each (sample, image) pair in the order of `one_each`."""
    assert inputs.owners is not None
    table, items = inputs.table, inputs.owners.shape[1]
    prompt = (table.modality == int(Modality.TEXT)) & (table.role != int(Role.ASSISTANT))
    prompt = prompt & table.valid
    width = int(prompt.sum(1).max())
    index = (~prompt).long().argsort(dim=1, stable=True)[:, :width]
    return Asked(
        ids=take(inputs.ids, index).repeat_interleave(items, 0),
        embeddings=take(embeddings, index).repeat_interleave(items, 0),
        valid=take(prompt, index).repeat_interleave(items, 0),
        browse=None if browse is None else lambda: browse().flatten(0, 1),
        routing=None if inputs.routing is None else inputs.routing.repeat_interleave(items, 0),
    )


def last_prompt_rows(inputs: Inputs) -> Int[Tensor, "batch item"]:
    """For each image of each sample, the last row of its turn that is no answer.

    A later turn's prompt has read the answers before it: what an image becomes must not know them.
    """
    table = inputs.table
    turn = _turns(inputs).unsqueeze(-1)
    prompt = (table.valid & (table.role != int(Role.ASSISTANT))).unsqueeze(1)
    own = prompt & (table.turn.unsqueeze(1) == turn)
    return table.order.unsqueeze(1).masked_fill(~own, -1).argmax(-1)


def _turns(inputs: Inputs) -> Int[Tensor, "batch item"]:
    """The turn in which each image (each view, where images are cut) stands.

    Views are the runs of the memory's tokens that share item and unit; `item` counts from the
    image's own first row, so the earliest row that bears its number stands in its turn.
    """
    assert inputs.owners is not None and inputs.memory is not None
    memory, table = inputs.memory, inputs.table
    views = inputs.owners.shape[1]
    number = _runs(memory).clamp(max=views - 1)
    item = torch.zeros_like(inputs.owners).scatter_reduce(
        1, number, memory.item * memory.valid, reduce="amax"
    )
    own = (table.item.unsqueeze(1) == item.unsqueeze(-1)) & table.valid.unsqueeze(1)
    latest = int(table.turn.max())
    return table.turn.unsqueeze(1).masked_fill(~own, latest).amin(-1)


def _runs(memory: TokenTable) -> Int[Tensor, "batch token"]:
    """Which run of equal (item, unit) each token belongs to, counted from 0."""
    changed = (memory.item.diff(dim=1) != 0) | (memory.unit.diff(dim=1) != 0)
    return torch.nn.functional.pad(changed.long(), (1, 0)).cumsum(1)

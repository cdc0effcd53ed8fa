"""What is asked about each image of a batch, for connectors that read it."""

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from chiasm.stream import Asked, Features, Inputs, Modality, Role
from chiasm.stream.table import take


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
    )
    return own, places.masked_fill(owners < 0, -1)


def asked_of(
    inputs: Inputs,
    embeddings: Float[Tensor, "batch token width"],
    browse: Callable[[], Float[Tensor, "batch width"]],
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
        browse=lambda: browse().repeat_interleave(items, 0),
    )


def last_prompt_rows(inputs: Inputs) -> Int[Tensor, "batch 1"]:
    """The last valid row of each sample that is no answer."""
    table = inputs.table
    prompt = table.valid & (table.role != int(Role.ASSISTANT))
    places = torch.arange(table.shape[1], device=table.device).expand(table.shape)
    return places.masked_fill(~prompt, 0).amax(1, keepdim=True)

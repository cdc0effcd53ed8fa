"""Inputs whose rows name the images that they read, one by one: a mask of rows by images."""

from dataclasses import replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from chiasm.errors import ChiasmError
from chiasm.hub.inputs import Past, valid_rows
from chiasm.spec import Answers
from chiasm.stream import Inputs, Modality, TokenTable

MOST = 62
"""Images that a row can name, one bit of an integer each."""


def assemble_by_sight(
    answers: Answers,
    ids: Int[Tensor, "batch token"],
    mask: Int[Tensor, "batch row"] | None,
    position_ids: Int[Tensor, "batch token"] | None,
    images: Float[Tensor, "batch image 3 height width"] | None,
    sight: Bool[Tensor, "batch token image"] | None,
    past: Past,
) -> Inputs:
    """The inputs of one call for the rule `NamedItems`, which are noted in `past`.

    Without a `sight` rows read what the last row before them read; the first rows, all images.

    Raises:
        ChiasmError: a mask of another shape than rows and images, or too many images.
    """
    valid = valid_rows(ids, mask, past)
    length = past.get_seq_length()
    table = TokenTable.text(valid).cut(slice(length, None))
    if position_ids is not None:
        table = replace(table, position=position_ids.expand_as(ids).float().unsqueeze(-1))
    named = _named(ids, images, sight, past)
    past.valid, past.items = valid, named[:, -1:]
    inputs = Inputs(ids=ids, table=replace(table, item=named), source=torch.full_like(ids, -1))
    if images is None:
        return inputs
    batch, count = images.shape[:2]
    grid = answers.encoder.grid((images.shape[-2], images.shape[-1]))
    tokens = answers.connector.count(grid)
    numbers = torch.arange(count, device=ids.device)
    return replace(
        inputs,
        images=images.flatten(0, 1),
        owners=torch.arange(batch * count, device=ids.device).view(batch, count),
        memory=named_memory((1 << numbers).repeat_interleave(tokens).expand(batch, -1)),
    )


def _named(
    ids: Tensor, images: Tensor | None, sight: Tensor | None, past: Past
) -> Int[Tensor, "batch token"]:
    """Each row's images as the bits of one integer."""
    if sight is None:
        if images is not None:
            return torch.full_like(ids, (1 << images.shape[1]) - 1)
        last = torch.zeros_like(ids[:, :1]) if past.items is None else past.items
        return last.expand_as(ids)
    told = tuple(sight.shape)
    if told[:2] != tuple(ids.shape) or (images is not None and told[2] != images.shape[1]):
        seen = "" if images is None else f" and {images.shape[1]} images a sample"
        raise ChiasmError(
            f"image_attention_mask is {told} for rows of {tuple(ids.shape)}{seen}; give one entry "
            "a row and image"
        )
    if told[2] > MOST:
        raise ChiasmError(f"{told[2]} images a sample are more than the {MOST} that rows can name")
    return bits(sight.to(ids.device))


def bits(named: Bool[Tensor, "batch token item"]) -> Int[Tensor, "batch token"]:
    """The items that each row names as the bits of one integer."""
    return (named.bool() * (1 << torch.arange(named.shape[2], device=named.device))).sum(-1)


def named_memory(item: Int[Tensor, "batch token"]) -> TokenTable:
    """Media tokens, each of which bears the bit of what it belongs to."""
    order = torch.arange(item.shape[1], device=item.device).expand(item.shape)
    return replace(
        TokenTable.text(torch.ones_like(item).bool()),
        modality=torch.full_like(item, int(Modality.IMAGE)),
        item=item,
        role=torch.zeros_like(item),
        order=order,
        position=order.float().unsqueeze(-1),
    )

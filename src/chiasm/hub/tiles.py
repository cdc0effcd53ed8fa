"""Inputs whose rows name the tiles of images that they read: a mask of rows by images by tiles."""

from dataclasses import replace
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from chiasm.errors import ChiasmError
from chiasm.hub.inputs import Past, valid_rows
from chiasm.hub.sight import MOST, bits, named_memory
from chiasm.spec import Answers
from chiasm.stream import Inputs, TokenTable

EVERY = (1 << MOST) - 1
"""What a row names that reads all tiles."""


def assemble_by_tile(
    answers: Answers,
    ids: Int[Tensor, "batch token"],
    mask: Int[Tensor, "batch row"] | None,
    position_ids: Int[Tensor, "batch token"] | None,
    images: Float[Tensor, "batch image tile 3 height width"] | None,
    ratios: tuple[Tensor | None, Tensor | None],
    sight: Int[Tensor, "batch row image tile"] | None,
    past: Past,
) -> Inputs:
    """The inputs of one call for the rule `NamedElseEverything`, which are noted in `past`.

    `ratios` are each image's aspect ratio and which of its tiles are real. `sight` is of this
    call's rows, or of all rows so far; without it rows read every tile, blank ones too, as in
    transformers' plain attention (its fused one takes a missing mask for a causal one).

    Raises:
        ChiasmError: shapes that disagree, images after images, or too many tiles.
    """
    valid = valid_rows(ids, mask, past)
    length = past.get_seq_length()
    table = TokenTable.text(valid).cut(slice(length, None))
    if position_ids is not None:
        table = replace(table, position=position_ids.expand_as(ids).float().unsqueeze(-1))
    named = _named(ids, images, sight, length)
    past.valid = valid
    inputs = Inputs(ids=ids, table=replace(table, item=named), source=torch.full_like(ids, -1))
    if images is None:
        return inputs
    if past.cache.memory_table is not None:
        raise ChiasmError("images were given with an earlier call; give all of them with one call")
    told = _told(answers, images, ratios)
    batch, count, tiles = images.shape[:3]
    if batch != len(ids):
        raise ChiasmError(f"pixel_values holds {batch} samples, input_ids {len(ids)}")
    tokens = answers.connector.count(answers.encoder.grid((images.shape[-2], images.shape[-1])))
    numbers = torch.arange(count * tiles, device=ids.device)
    return replace(
        inputs,
        images=images.flatten(0, 1),
        image_valid=told,
        owners=torch.arange(batch * count, device=ids.device).view(batch, count),
        memory=named_memory((1 << numbers).repeat_interleave(tokens).expand(batch, -1)),
    )


def _named(
    ids: Tensor, images: Tensor | None, sight: Tensor | None, length: int
) -> Int[Tensor, "batch token"]:
    """Each row's tiles as the bits of one integer."""
    if images is not None and images.shape[1] * images.shape[2] > MOST:
        raise ChiasmError(
            f"{images.shape[1]} images of {images.shape[2]} tiles are more than the {MOST} tiles a "
            "sample that rows can name; give fewer images"
        )
    if sight is None:
        return torch.full_like(ids, EVERY)
    own = sight if sight.shape[1] == ids.shape[1] else sight[:, length : length + ids.shape[1]]
    fits = sight.dim() == 4 and own.shape[:2] == ids.shape
    if not fits or (images is not None and own.shape[2:] != images.shape[1:3]):
        seen = "" if images is None else f" and {tuple(images.shape[1:3])} images and tiles"
        raise ChiasmError(
            f"cross_attention_mask is {tuple(sight.shape)} for rows of {tuple(ids.shape)}{seen}; "
            "give one entry a row, image and tile"
        )
    return bits(own.flatten(2).to(ids.device))


def _told(
    answers: Answers, images: Tensor, ratios: tuple[Tensor | None, Tensor | None]
) -> Int[Tensor, "image entry"]:
    """Each image's aspect ratio, then which of its tiles are real."""
    encoder: Any = answers.encoder
    number, real = ratios
    if images.dim() != 6 or images.shape[2] != encoder.tiles:
        raise ChiasmError(
            f"pixel_values is {tuple(images.shape)}; give [sample, image, tile, 3, height, width] "
            f"with {encoder.tiles} tiles, blank ones included"
        )
    for name, one, shape in (
        ("aspect_ratio_ids", number, images.shape[:2]),
        ("aspect_ratio_mask", real, images.shape[:3]),
    ):
        if one is None or one.shape != shape:
            said = "missing" if one is None else tuple(one.shape)
            raise ChiasmError(f"{name} is {said} for images of {tuple(shape)}; give one entry each")
    assert number is not None and real is not None
    most = encoder.config.max_aspect_ratio_id
    if not 0 <= int(number.min()) <= int(number.max()) <= most:
        raise ChiasmError(
            f"aspect_ratio_ids run from {int(number.min())} to {int(number.max())}, the tower's "
            f"from 0 to {most}"
        )
    return torch.cat([number.unsqueeze(-1), real.to(number.dtype)], -1).flatten(0, 1)

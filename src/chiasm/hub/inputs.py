"""Keyword inputs of transformers' models as `Inputs`: which rows are media, and whose."""

from dataclasses import dataclass, field, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from chiasm.backbone import Cache, GrowingCache
from chiasm.errors import ChiasmError
from chiasm.spec import Answers
from chiasm.stream import Inputs, Modality, TokenTable


@dataclass
class Past:
    """What a call leaves for the next; passed back as `past_key_values`, and extended in place."""

    cache: Cache = field(default_factory=GrowingCache)
    valid: Bool[Tensor, "batch row"] | None = None
    """Which rows so far are real."""
    items: Int[Tensor, "batch 1"] | None = None
    """Media items of each sample so far."""

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Rows seen so far, padding included; every layer has seen the same."""
        return 0 if self.valid is None else self.valid.shape[1]


@dataclass(frozen=True)
class Pictures:
    """The images of a call, once each, and what each of them becomes."""

    pixels: Float[Tensor, "image 3 height width"]
    valid: Bool[Tensor, "image height width"] | None
    grid: tuple[int, int]
    tokens: int
    """Tokens that layers read of one image."""
    rows: int
    """Rows one image takes in the sequence."""


def pictures(
    answers: Answers, pixel_values: Tensor | None, pixel_mask: Tensor | None
) -> Pictures | None:
    """The images of `[image, 3, height, width]` or `[batch, image, 3, height, width]` pixels.

    In the second form images that are zero everywhere are padding and left out.
    """
    if pixel_values is None:
        return None
    if not answers.encoder.width:
        raise ChiasmError(
            f"this model looks at no images, but {pixel_values.shape[0]} were given; "
            "leave pixel_values out"
        )
    valid = None if pixel_mask is None else pixel_mask.bool()
    if pixel_values.dim() == 5:
        real = pixel_values.flatten(2).ne(0).any(-1)
        pixel_values, valid = pixel_values[real], None if valid is None else valid[real]
    if valid is not None and valid.shape != (len(pixel_values), *pixel_values.shape[-2:]):
        raise ChiasmError(
            f"pixel_attention_mask is {tuple(valid.shape)} for images of "
            f"{tuple(pixel_values.shape)}; give one entry a pixel"
        )
    grid = answers.encoder.grid((pixel_values.shape[-2], pixel_values.shape[-1]))
    tokens = answers.connector.count(grid)
    rows = answers.fusion.placeholders(answers.compression.count(tokens))
    return Pictures(pixel_values, valid, grid, tokens, rows)


def assemble(
    ids: Int[Tensor, "batch token"],
    valid: Bool[Tensor, "batch row"],
    position_ids: Int[Tensor, "batch token"] | None,
    seen: Pictures | None,
    image_token: int | None,
    past: Past,
) -> Inputs:
    """The inputs of one call. `valid` covers the rows of `past` and this call's.

    Raises:
        ChiasmError: image tokens and images that do not fit each other, with both counts.
    """
    table = _text_table(ids, valid, position_ids, past)
    if seen is None:
        return Inputs(ids=ids, table=table, source=torch.full_like(ids, -1))
    marks = ids == (-1 if image_token is None else image_token)
    counts = _items(marks, seen)
    running = marks.long().cumsum(1)
    # An image's rows are numbered together; text rows count the images that start before them.
    item = torch.div(running + max(seen.rows, 1) - 1, max(seen.rows, 1), rounding_mode="floor")
    table = replace(table, item=table.item + item)
    source = torch.full_like(ids, -1)
    if seen.rows:
        source = torch.where(marks, running - 1, source)
        modality = torch.where(marks, int(Modality.IMAGE), table.modality)
        table = replace(table, modality=modality, place=_places(marks, source, seen))
    else:
        # Where an image takes no row, its mark is not read by anybody either.
        table = replace(table, valid=table.valid & ~marks)
        if position_ids is None:
            hidden = running.unsqueeze(-1).to(table.position)
            table = replace(table, position=(table.position - hidden).clamp(min=0))
    owners = _owners(counts)
    return Inputs(
        ids=ids,
        table=table,
        source=source,
        images=seen.pixels,
        image_valid=seen.valid,
        owners=owners,
        memory=_memory(owners, seen, past),
    )


def _text_table(ids: Tensor, valid: Tensor, position_ids: Tensor | None, past: Past) -> TokenTable:
    """Plain text rows that continue `past`."""
    length = past.get_seq_length()
    table = TokenTable.text(valid).cut(slice(length, None))
    if past.items is not None:
        table = replace(table, item=table.item + past.items)
    if position_ids is None:
        return table
    return replace(table, position=position_ids.expand_as(ids).float().unsqueeze(-1))


def _items(marks: Bool[Tensor, "batch token"], seen: Pictures) -> list[int]:
    """Images of each sample, from its image tokens."""
    each, images = max(seen.rows, 1), len(seen.pixels)
    rows = marks.sum(1).tolist()
    if sum(rows) != images * each:
        raise ChiasmError(
            f"{sum(rows)} image tokens stand for {images * each} features "
            f"({images} images of {each}); give every image {each} image tokens"
        )
    for sample, count in enumerate(rows):
        if count % each:
            raise ChiasmError(
                f"sample {sample} has {count} image tokens, but an image has {each}; "
                "do not cut an image's tokens"
            )
    return [count // each for count in rows]


def _owners(counts: list[int]) -> Int[Tensor, "batch item"]:
    """Each sample's rows of the image list, in order."""
    owners = torch.full((len(counts), max(counts)), -1)
    first = 0
    for sample, count in enumerate(counts):
        owners[sample, :count] = torch.arange(first, first + count)
        first += count
    return owners


def _places(marks: Tensor, source: Tensor, seen: Pictures) -> Float[Tensor, "batch token 3"]:
    """(0, y, x) of rows that are patches; tokens that are not patches stand in one row."""
    columns = seen.grid[1] if seen.grid[0] * seen.grid[1] == seen.rows else seen.rows
    place = torch.where(marks, source % seen.rows, 0)
    y = torch.div(place, columns, rounding_mode="floor")
    return torch.stack([torch.zeros_like(place), y, place % columns], -1).float()


def _memory(owners: Int[Tensor, "batch item"], seen: Pictures, past: Past) -> TokenTable:
    """Identity of each sample's media tokens."""
    held = owners >= 0
    valid = held.repeat_interleave(seen.tokens, 1)
    first: Any = 0 if past.items is None else past.items
    item = torch.arange(1, owners.shape[1] + 1, device=owners.device).expand_as(owners) + first
    item = item.repeat_interleave(seen.tokens, 1)
    order = torch.arange(valid.shape[1], device=owners.device).expand_as(item)
    return replace(
        TokenTable.text(valid),
        modality=torch.full_like(item, int(Modality.IMAGE)),
        item=item,
        role=torch.zeros_like(item),
        order=order,
        position=order.float().unsqueeze(-1),
    )

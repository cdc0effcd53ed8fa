"""Keyword inputs of transformers' models as `Inputs`: which rows are media, and whose."""

from dataclasses import dataclass, field, replace

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
    if not len(pixel_values):
        return None
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
    mask: Int[Tensor, "batch row"] | None,
    position_ids: Int[Tensor, "batch token"] | None,
    seen: Pictures | None,
    image_token: int | None,
    past: Past,
) -> Inputs:
    """The inputs of one call, which are noted in `past`. `mask` covers its rows and this call's.

    Raises:
        ChiasmError: image tokens and images that do not fit each other, or a mask of another
            length than the rows, with both counts.
    """
    valid = _valid(ids, mask, past)
    length = past.get_seq_length()
    if seen is not None and image_token is None:
        raise ChiasmError(
            "this checkpoint gives no id to the image token; use .model with inputs of "
            "chiasm.data.collate, or save it with a tokenizer that has <image>"
        )
    marks = torch.zeros_like(ids).bool() if seen is None else torch.eq(ids, image_token or 0)
    if seen is not None and not seen.rows:
        # Where an image takes no row, its mark is read by nobody and holds no position.
        valid = torch.cat([valid[:, :length], valid[:, length:] & ~marks], 1)
    table = TokenTable.text(valid).cut(slice(length, None))
    if position_ids is not None:
        position = position_ids.expand_as(ids).float().unsqueeze(-1)
        table = replace(table, position=position)
    first = torch.zeros_like(ids[:, :1]) if past.items is None else past.items
    past.valid, past.items = valid, first
    source = torch.full_like(ids, -1)
    if seen is None:
        return Inputs(ids=ids, table=replace(table, item=table.item + first), source=source)
    owners = _owners(_items(marks, seen), ids.device)
    running, each = marks.long().cumsum(1), max(seen.rows, 1)
    # An image's rows are numbered together; text rows count the images that start before them.
    item = first + torch.div(running + each - 1, each, rounding_mode="floor")
    past.items = item[:, -1:]
    table = replace(table, item=item)
    if seen.rows:
        source = torch.where(marks, running - 1, source)
        modality = torch.where(marks, int(Modality.IMAGE), table.modality)
        table = replace(table, modality=modality, place=_places(marks, source, seen))
    return Inputs(
        ids=ids,
        table=table,
        source=source,
        images=seen.pixels,
        image_valid=seen.valid,
        owners=owners,
        memory=_memory(owners, seen, first),
    )


def _valid(ids: Tensor, mask: Tensor | None, past: Past) -> Bool[Tensor, "batch row"]:
    """Which rows are real, those of `past` included."""
    own = torch.ones_like(ids).bool()
    before = own[:, :0] if past.valid is None else past.valid
    whole = torch.cat([before, own], 1)
    if mask is None:
        return whole
    if mask.shape != whole.shape:
        raise ChiasmError(
            f"attention_mask is {tuple(mask.shape)}, the rows are {tuple(whole.shape)}, of which "
            f"{before.shape[1]} are cached; give one entry a row, cached rows included"
        )
    if bool((before & ~mask[:, : before.shape[1]].bool()).any()):
        raise ChiasmError("attention_mask hides cached rows that were read before; start again")
    return whole & mask.bool()


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


def _owners(counts: list[int], device: torch.device) -> Int[Tensor, "batch item"]:
    """Each sample's rows of the image list, in order."""
    owners = torch.full((len(counts), max(counts)), -1, device=device)
    first = 0
    for sample, count in enumerate(counts):
        owners[sample, :count] = torch.arange(first, first + count, device=device)
        first += count
    return owners


def _places(marks: Tensor, source: Tensor, seen: Pictures) -> Float[Tensor, "batch token 3"]:
    """(0, y, x) of rows that are patches; tokens that are not patches stand in one row."""
    columns = seen.grid[1] if seen.grid[0] * seen.grid[1] == seen.rows else seen.rows
    place = torch.where(marks, source % seen.rows, 0)
    y = torch.div(place, columns, rounding_mode="floor")
    return torch.stack([torch.zeros_like(place), y, place % columns], -1).float()


def _memory(owners: Int[Tensor, "batch item"], seen: Pictures, first: Tensor) -> TokenTable:
    """Identity of each sample's media tokens; items are counted from `first`."""
    valid = (owners >= 0).repeat_interleave(seen.tokens, 1)
    item = first + torch.arange(1, owners.shape[1] + 1, device=owners.device)
    order = torch.arange(valid.shape[1], device=owners.device).expand(valid.shape)
    return replace(
        TokenTable.text(valid),
        modality=torch.full_like(order, int(Modality.IMAGE)),
        item=item.repeat_interleave(seen.tokens, 1),
        role=torch.zeros_like(order),
        order=order,
        position=order.float().unsqueeze(-1),
    )

"""Keyword inputs of transformers' models as `Inputs`: which rows are media, and whose."""

from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from chiasm.backbone import Cache, GrowingCache
from chiasm.errors import ChiasmError
from chiasm.hub.tokens import SpecialTokens
from chiasm.spec import Answers
from chiasm.spec.answer import Positions
from chiasm.stream import Inputs, Modality, TokenTable


@dataclass
class Past:
    """What a call leaves for the next; passed back as `past_key_values`, and extended in place."""

    cache: Cache = field(default_factory=GrowingCache)
    valid: Bool[Tensor, "batch row"] | None = None
    """Which rows so far are real."""
    items: Int[Tensor, "batch 1"] | None = None
    """Media items of each sample so far, or those that its last row names."""
    table: TokenTable | None = None
    """The rows so far, numbered in reading order."""
    by_sight: bool = False
    """Whether rows name the images that they read."""
    by_tile: bool = False
    """Whether they name tiles of them."""

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Rows seen so far, padding included; every layer has seen the same."""
        return 0 if self.valid is None else self.valid.shape[1]


@dataclass(frozen=True)
class Pictures:
    """The images of a call, once each, and what each of them becomes."""

    pixels: Float[Tensor, "image 3 height width"]
    valid: Bool[Tensor, "image height width"] | None
    grids: list[tuple[int, int]]
    tokens: list[int]
    """Tokens that layers read of each image."""
    rows: list[int]
    """What each image becomes for the sequence: its rows, and the marks around them if any."""
    around: int = 0
    """Marks among the rows, the first before the others behind, which the text names apart."""
    kept: tuple[int, ...] = ()
    """Tokens left of each image by compression, as many as its rows where not said."""

    @property
    def each(self) -> list[int]:
        """Sources that each image counts for, as in data: its rows or tokens, if more."""
        pairs = zip(self.rows, self.kept or self.rows, strict=True)
        return [max(rows, kept) for rows, kept in pairs]

    @property
    def marks(self) -> list[int]:
        """Image tokens of each image: one even where it takes no row."""
        return [max(rows - self.around, 1) for rows in self.rows]


def pictures(
    answers: Answers,
    pixel_values: Tensor | None,
    pixel_mask: Tensor | None,
    image_sizes: Tensor | None = None,
    *,
    around: int = 0,
) -> Pictures | None:
    """The images of `[image, 3, height, width]` or `[batch, image, 3, height, width]` pixels.

    In the second form images that are zero everywhere are padding and left out. `image_sizes`
    `[image, 2]` says what of each image is real, and so how many tokens it becomes. `around` of
    them are marks that a checkpoint's text names by ids of their own.
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
    height, width = pixel_values.shape[-2:]
    sizes = [(height, width)] * len(pixel_values)
    if image_sizes is not None:
        sizes = sizes_of(image_sizes, pixel_values)
        valid = within(sizes, pixel_values)
    grids = [answers.encoder.grid(size) for size in sizes]
    tokens = [answers.connector.count(grid) for grid in grids]
    kept = tuple(answers.compression.count(count) for count in tokens)
    rows = [answers.fusion.placeholders(count) for count in kept]
    return Pictures(pixel_values, valid, grids, tokens, rows, around, kept)


def sizes_of(image_sizes: Tensor, pixels: Tensor) -> list[tuple[int, int]]:
    """Height and width of what is real of each image.

    Raises:
        ChiasmError: another number of them than images, or one that the pixels do not have.
    """
    told = torch.as_tensor(image_sizes)
    height, width = pixels.shape[-2:]
    if told.shape != (len(pixels), 2):
        raise ChiasmError(
            f"image_sizes is {tuple(told.shape)} for {len(pixels)} images; give one height and "
            "width an image"
        )
    sizes = [(int(tall), int(wide)) for tall, wide in told.tolist()]
    beyond = [size for size in sizes if size[0] > height or size[1] > width or min(size) < 1]
    if beyond:
        raise ChiasmError(
            f"image_sizes holds {beyond[0][0]} x {beyond[0][1]}, the pixels are {height} x {width}"
        )
    return sizes


def within(sizes: list[tuple[int, int]], pixels: Tensor) -> Bool[Tensor, "image height width"]:
    """True on the real pixels, which begin at the top left."""
    valid = torch.zeros(len(sizes), *pixels.shape[-2:], dtype=torch.bool, device=pixels.device)
    for image, (height, width) in zip(valid, sizes, strict=True):
        image[:height, :width] = True
    return valid


def assemble(
    ids: Int[Tensor, "batch token"],
    mask: Int[Tensor, "batch row"] | None,
    position_ids: Int[Tensor, "*axis batch token"] | None,
    seen: Pictures | None,
    tokens: SpecialTokens,
    past: Past,
    positions: Positions,
) -> Inputs:
    """The inputs of one call, which are noted in `past`. `mask` covers its rows and this call's.

    Raises:
        ChiasmError: image tokens and images that do not fit each other, or a mask of another
            length than the rows, with both counts.
    """
    valid = valid_rows(ids, mask, past)
    length = past.get_seq_length()
    if seen is not None and tokens.image is None:
        raise ChiasmError(
            "this checkpoint gives no id to the image token; use .model with inputs of "
            "chiasm.data.collate, or save it with a tokenizer that has <image>"
        )
    marks = torch.zeros_like(ids).bool() if seen is None else torch.eq(ids, tokens.image or 0)
    if seen is not None and not any(seen.rows):
        # Where an image takes no row, its mark is read by nobody and holds no position.
        valid = torch.cat([valid[:, :length], valid[:, length:] & ~marks], 1)
    table = TokenTable.text(valid).cut(slice(length, None))
    first = torch.zeros_like(ids[:, :1]) if past.items is None else past.items
    past.valid, past.items = valid, first
    source = torch.full_like(ids, -1)
    if seen is None:
        table = replace(table, item=table.item + first)
        return Inputs(ids=ids, table=_placed(table, position_ids, past, positions), source=source)
    counts = _items(marks, seen)
    owners, running = _owners(counts, ids.device), marks.long().cumsum(1)
    # An image's rows are numbered together; text rows count the images that start before them.
    starts = _starts(counts, seen.marks, ids.device)
    started = (starts.unsqueeze(1) < running.unsqueeze(2)).sum(-1)
    past.items = first + started[:, -1:]
    table = replace(table, item=first + started)
    if any(seen.rows):
        modality = torch.where(marks, int(Modality.IMAGE), table.modality)
        at = (started - 1).clamp(min=0)
        image, inside = owners.gather(1, at).clamp(min=0), running - 1 - starts.gather(1, at)
        # An image of fewer rows than tokens shows its last ones, as `Geometry.first_source` says.
        hidden = torch.tensor([e - r for e, r in zip(seen.each, seen.rows, strict=True)])
        before = _starts(counts, seen.each, ids.device).gather(1, at) + min(seen.around, 1)
        before = before + hidden.to(ids.device)[image]
        source = torch.where(marks, before + inside, source)
        for number, indicator in enumerate(tokens.indicators):
            place = seen.rows[0] - seen.around + number if number else 0
            source = torch.where(ids == indicator, place, source)
        place = torch.where(marks.unsqueeze(-1), _places(image, inside, seen), 0.0)
        table = replace(table, modality=modality, place=place)
    return Inputs(
        ids=ids,
        table=_placed(table, position_ids, past, positions),
        source=source,
        images=seen.pixels,
        image_valid=seen.valid,
        owners=owners,
        memory=_memory(owners, seen, first),
    )


def _placed(
    table: TokenTable, position_ids: Tensor | None, past: Past, positions: Positions
) -> TokenTable:
    """The call's rows where they stand: as told, else as `positions` numbers all rows so far."""
    whole = table if past.table is None else past.table.append(table)
    length = whole.shape[1] - table.shape[1]
    past.table = whole
    if position_ids is None:
        return positions.number(whole).cut(slice(length, None))
    told = position_ids.float()
    if told.dim() == 3:
        return replace(table, position=told[-positions.axes :].movedim(0, -1))
    each = told.expand(table.shape).unsqueeze(-1)
    return replace(table, position=each.expand(-1, -1, positions.axes))


def gridded(pixel_values: Tensor | None, grids: Tensor, merge: int) -> Pictures | None:
    """Images as the patches of all of them, and the (frames, rows, columns) of patches of each.

    Raises:
        ChiasmError: several frames, or patches that the grids do not count.
    """
    if pixel_values is None:
        return None
    if int(grids.prod(-1).sum()) != len(pixel_values) or bool((grids[:, 0] != 1).any()):
        raise ChiasmError(
            f"image_grid_thw tells {int(grids.prod(-1).sum())} patches, pixel_values holds "
            f"{len(pixel_values)}; give images of one frame each"
        )
    sides = [(int(rows) // merge, int(columns) // merge) for _, rows, columns in grids.tolist()]
    counts = [rows * columns for rows, columns in sides]
    return Pictures(pixel_values, grids, sides, counts, counts)


def valid_rows(ids: Tensor, mask: Tensor | None, past: Past) -> Bool[Tensor, "batch row"]:
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
    each, rows = seen.marks, marks.sum(1).tolist()
    if sum(rows) != sum(each):
        same = f"{each[0]}" if len(set(each)) == 1 else ", ".join(str(count) for count in each[:4])
        raise ChiasmError(
            f"{sum(rows)} image tokens stand for {sum(each)} features "
            f"({len(each)} images of {same}); give every image as many image tokens as features"
        )
    counts, image = [], 0
    for sample, row in enumerate(rows):
        first, left = image, row
        while left > 0:
            left, image = left - each[image], image + 1
        if left:
            raise ChiasmError(
                f"sample {sample} has {row} image tokens, but its images have "
                f"{sum(each[first:image])}; do not cut an image's tokens"
            )
        counts.append(image - first)
    return counts


def _owners(counts: list[int], device: torch.device) -> Int[Tensor, "batch item"]:
    """Each sample's rows of the image list, in order."""
    owners = torch.full((len(counts), max(counts)), -1, device=device)
    first = 0
    for sample, count in enumerate(counts):
        owners[sample, :count] = torch.arange(first, first + count, device=device)
        first += count
    return owners


def _starts(counts: list[int], marks: list[int], device: torch.device) -> Int[Tensor, "batch item"]:
    """Image tokens of a sample before each of its images; beyond all of them where it has fewer."""
    starts = torch.full((len(counts), max(counts)), sum(marks), device=device)
    first = 0
    for sample, count in enumerate(counts):
        own = torch.tensor([0, *marks[first : first + count]], device=device).cumsum(0)
        starts[sample, :count] = own[:count]
        first += count
    return starts


def _places(
    image: Int[Tensor, "batch token"], inside: Int[Tensor, "batch token"], seen: Pictures
) -> Float[Tensor, "batch token 3"]:
    """(0, y, x) of rows, line by line of the grid; fewer rows than patches stand in one."""
    columns = torch.tensor(
        [_columns(grid, rows) for grid, rows in zip(seen.grids, seen.rows, strict=True)],
        device=image.device,
    )[image]
    y = torch.div(inside, columns, rounding_mode="floor")
    return torch.stack([torch.zeros_like(inside), y, inside % columns], -1).float()


def _columns(grid: tuple[int, int], count: int) -> int:
    """Columns of `count` rows of one image; fewer rows than patches stand in one line."""
    return grid[1] if grid[0] * grid[1] <= count else max(count, 1)


def _memory(owners: Int[Tensor, "batch item"], seen: Pictures, first: Tensor) -> TokenTable:
    """Identity of each sample's media tokens; items are counted from `first`."""
    cells = [
        [
            (n, at // columns, at % columns)
            for n, image in enumerate(row, 1)
            if image >= 0
            for columns in (_columns(seen.grids[image], seen.tokens[image]),)
            for at in range(seen.tokens[image])
        ]
        for row in owners.tolist()
    ]
    most = max(len(row) for row in cells)
    # Padding repeats the last item, so that items stay in order.
    padded = [row + [(row[-1][0] if row else 0, 0, 0)] * (most - len(row)) for row in cells]
    whole = torch.tensor(padded, device=owners.device).long().view(len(cells), most, 3)
    item = whole[..., 0]
    order = torch.arange(most, device=owners.device).expand(item.shape)
    counts = torch.tensor([len(row) for row in cells], device=owners.device)
    return replace(
        TokenTable.text(order < counts.unsqueeze(1)),
        modality=torch.full_like(order, int(Modality.IMAGE)),
        item=first + item,
        place=torch.nn.functional.pad(whole[..., 1:], (1, 0)).float(),
        role=torch.zeros_like(order),
        order=order,
        position=order.float().unsqueeze(-1),
    )

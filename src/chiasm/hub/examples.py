"""Random inputs for a folder: words, and images in the form in which its format takes them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from chiasm.hub.tokens import SpecialTokens
from chiasm.spec import Answers

Shape = tuple[int, int]


@dataclass(frozen=True)
class Shown:
    """The images of a batch, and how many image tokens each of a sample's images has."""

    media: dict[str, Tensor]
    marks: list[list[int]]
    named: tuple[str, Tensor] | None = None
    """Where rows name what they read: the input's name, and what each sample has to name."""


Show = Callable[[Answers, Sequence[int], torch.Generator], Shown]
"""(answers, images of each sample, generator) to the images; marks beside an image's own tokens,
which text may name apart, count among its marks."""


def nothing(answers: Answers, counts: Sequence[int], generator: torch.Generator) -> Shown:
    """A format that looks at nothing."""
    return Shown({}, [[] for _ in counts])


def flat(answers: Answers, counts: Sequence[int], generator: torch.Generator) -> Shown:
    """`pixel_values` `[image, 3, height, width]`, all of the one size of the views."""
    [view] = answers.views.plan((64, 64))
    marks = _marks(answers, view.target)
    return Shown(
        {"pixel_values": _noise((sum(counts), 3, *view.target), generator)},
        [[marks] * count for count in counts],
    )


def masked(answers: Answers, counts: Sequence[int], generator: torch.Generator) -> Shown:
    """As `flat`, with a `pixel_mask` that hides the first image's right half."""
    shown = flat(answers, counts, generator)
    pixels = shown.media["pixel_values"]
    mask = torch.ones(len(pixels), *pixels.shape[-2:], dtype=torch.long)
    mask[0, :, mask.shape[-1] // 2 :] = 0
    return Shown({**shown.media, "pixel_mask": mask}, shown.marks)


def tiled(answers: Answers, counts: Sequence[int], generator: torch.Generator) -> Shown:
    """`[sample, image, 3, height, width]` of one size, the last image's right edge masked out."""
    [view] = answers.views.plan((64, 64))
    mask = _mask(counts, view.target)
    mask[0, 0, :, view.target[1] // 2 :] = 0
    return _nested(answers, counts, mask, generator, lambda _: view.target)


def native(answers: Answers, counts: Sequence[int], generator: torch.Generator) -> Shown:
    """`[sample, image, 3, height, width]` of two sizes, padded to the larger."""
    patch = _patch(answers)
    mask = _mask(counts, (4 * patch, 5 * patch))
    mask[0, 0, 3 * patch :] = 0
    mask[0, 0, :, 2 * patch :] = 0
    return _nested(answers, counts, mask, generator, lambda size: size)


def sized(answers: Answers, counts: Sequence[int], generator: torch.Generator) -> Shown:
    """`pixel_values` padded to the largest image, and the `image_sizes` of all."""
    patch = _patch(answers)
    largest = (4 * patch, 5 * patch)
    sizes = [(3 * patch, 2 * patch), *[largest] * (sum(counts) - 1)]
    marks = iter([_marks(answers, size) for size in sizes])
    media = {
        "pixel_values": _noise((sum(counts), 3, *largest), generator),
        "image_sizes": torch.tensor(sizes),
    }
    return Shown(media, [[next(marks) for _ in range(count)] for count in counts])


def gridded(answers: Answers, counts: Sequence[int], generator: torch.Generator) -> Shown:
    """`pixel_values` of all images' patches in a row, and the `image_grid_thw` of each image."""
    encoder: Any = answers.encoder
    config = encoder.config
    merge, sides = config.spatial_merge_size, [(2, 3), (1, 2), (3, 1)]
    grids = [(1, r * merge, c * merge) for r, c in (sides * sum(counts))[: sum(counts)]]
    pixels = 3 * config.temporal_patch_size * config.patch_size**2
    patches = sum(rows * columns for _, rows, columns in grids)
    marks = iter([rows * columns // merge**2 for _, rows, columns in grids])
    media = {
        "pixel_values": _noise((patches, pixels), generator),
        "image_grid_thw": torch.tensor(grids),
    }
    return Shown(media, [[next(marks) for _ in range(count)] for count in counts])


def named(answers: Answers, counts: Sequence[int], generator: torch.Generator) -> Shown:
    """`[sample, image, 3, height, width]`, zeros where a sample has fewer; no image tokens.

    Which rows read which image is told by `sights`, once the rows are known.
    """
    [view] = answers.views.plan((64, 64))
    mask = _mask(counts, view.target)
    pixels = _noise((*mask.shape[:2], 3, *view.target), generator) * mask.unsqueeze(2)
    return Shown(
        {"pixel_values": pixels}, [[] for _ in counts], ("image_attention_mask", _real(counts))
    )


def in_tiles(answers: Answers, counts: Sequence[int], generator: torch.Generator) -> Shown:
    """`[sample, image, tile, 3, height, width]`, of every aspect ratio in turn, and which it is."""
    encoder: Any = answers.encoder
    [view] = answers.views.plan((64, 64))
    ratios = [rows * columns for rows, columns in encoder.config.supported_aspect_ratios]
    real = _real(counts)
    number = real * (1 + (real.flatten().cumsum(0).view_as(real)) % len(ratios))
    tiles = torch.tensor([0, *ratios])[number]
    told = (torch.arange(encoder.tiles) < tiles.unsqueeze(-1)).long()
    pixels = _noise((*told.shape, 3, *view.target), generator) * told[..., None, None, None]
    media = {"pixel_values": pixels, "aspect_ratio_ids": number, "aspect_ratio_mask": told}
    return Shown(media, [[] for _ in counts], ("cross_attention_mask", told))


def sights(shown: Shown, rows: int) -> dict[str, Tensor]:
    """Every row but the first two reads its sample's images; nothing for other forms of images."""
    if shown.named is None:
        return {}
    name, each = shown.named
    sight = each.unsqueeze(1).repeat(1, rows, *[1] * (each.dim() - 1))
    sight[:, :2] = 0
    return {name: sight}


def _nested(
    answers: Answers,
    counts: Sequence[int],
    mask: Tensor,
    generator: torch.Generator,
    counted: Callable[[Shape], Shape],
) -> Shown:
    size = (mask.shape[-2], mask.shape[-1])
    pixels = _noise((*mask.shape[:2], 3, *size), generator) * mask.unsqueeze(2)
    marks = _marks(answers, counted(size))
    return Shown(
        {"pixel_values": pixels, "pixel_attention_mask": mask},
        [[marks] * count for count in counts],
    )


def _real(counts: Sequence[int]) -> Int[Tensor, "sample image"]:
    return (torch.arange(max(counts)) < torch.tensor(counts).unsqueeze(1)).long()


def _mask(counts: Sequence[int], size: Shape) -> Tensor:
    mask = torch.zeros(len(counts), max(counts), *size, dtype=torch.long)
    for sample, count in zip(mask, counts, strict=True):
        sample[:count] = 1
    return mask


def _marks(answers: Answers, size: Shape) -> int:
    count = answers.connector.count(answers.encoder.grid(size))
    return max(answers.fusion.placeholders(answers.compression.count(count)), 1)


def _patch(answers: Answers) -> int:
    """Pixels of a patch's side, from the grid of a large square."""
    return 8192 // answers.encoder.grid((8192, 8192))[0]


def _noise(shape: tuple[int, ...], generator: torch.Generator) -> Float[Tensor, "..."]:
    return torch.randn(shape, generator=generator)


def prompts(
    vocabulary: int,
    tokens: SpecialTokens,
    marks: Sequence[Sequence[int]],
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """Words around each sample's image tokens, padded on the left to one length."""
    special = {tokens.image, *tokens.indicators}
    free = [word for word in range(vocabulary) if word not in special]
    rows: list[list[Any]] = []
    for number, sample in enumerate(marks):
        row: list[Any] = _words(free, 5 + number, generator)
        for each in sample:
            own = [tokens.image] * (each - len(tokens.indicators))
            row += [*tokens.indicators[:1], *own, *tokens.indicators[1:]]
            row += _words(free, 1, generator)
        rows.append(row + _words(free, 4, generator))
    length = max(map(len, rows))
    return {
        "input_ids": torch.tensor([[free[0]] * (length - len(row)) + row for row in rows]),
        "attention_mask": torch.tensor([[0] * (length - len(r)) + [1] * len(r) for r in rows]),
    }


def _words(free: Sequence[int], count: int, generator: torch.Generator) -> list[int]:
    return [free[int(at)] for at in torch.randint(len(free), (count,), generator=generator)]

"""The sizes a count is for: token counts, and the identity of every row of the prompt."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import isqrt

import torch
from jaxtyping import Int
from torch import Tensor

from chiasm.errors import Misuse
from chiasm.spec import Answers, Geometry, Size, geometry
from chiasm.stream import Modality, Role, TokenTable

LIMIT = 32_768
"""Most visual and most text tokens that are counted: visible pairs are materialised."""


@dataclass(frozen=True)
class Prompt:
    """One sample, one image: the rows of the sequence, and the tokens that layers may read.

    One text row precedes the image (none if there is only one), the rest of the text follows it;
    the last row is the tag that opens the answer, the others are the user's.
    """

    geometry: Geometry
    text: int
    table: TokenTable
    memory: TokenTable
    step: TokenTable
    """The first row of the answer, one after the prompt."""
    cut: tuple[TokenTable, ...] = ()
    """The rows that each layer runs, where compression takes some of them out; (): all."""

    def at(self, layer: int) -> TokenTable:
        """The rows that a layer runs."""
        return self.cut[layer] if self.cut else self.table

    @property
    def rows(self) -> int:
        """Rows of the sequence, placeholders included."""
        return self.table.shape[1]

    @property
    def features(self) -> int:
        """Visual tokens that the encoder gives the connector."""
        return sum(rows * columns for rows, columns in self.geometry.grids)

    @property
    def first_media_row(self) -> int:
        """Where the placeholders start."""
        return min(1, self.text - 1)


def make_prompt(
    answers: Answers,
    text: int,
    visual: int | None,
    image: Size,
    *,
    most: int = LIMIT,
    pictures: int = 1,
) -> Prompt:
    """The prompt of `text` text rows about one image of `image` pixels, one of so many `pictures`
    of that size that the sample holds.

    `visual`, when given, replaces the encoder's grid by the squarest grid of so many tokens. `most`
    bounds text and visual tokens.

    Raises:
        Misuse: a count out of range.
    """
    if not 1 <= text <= most:
        raise Misuse(f"{text} text tokens cannot be counted; give from 1 to {most}")
    if visual is not None and not 0 <= visual <= most:
        raise Misuse(f"{visual} visual tokens cannot be counted; give from 0 to {most}")
    if not all(1 <= side <= most for side in image):
        raise Misuse(
            f"an image of {image[0]}x{image[1]} pixels cannot be counted; "
            f"give sides from 1 to {most}"
        )
    found = _geometry(answers, visual, image, pictures)
    if found.tokens > most or found.placeholders > most:
        raise Misuse(
            f"the image becomes {max(found.tokens, found.placeholders)} tokens, more than {most}; "
            "give a smaller --image or --visual"
        )
    first = min(1, text - 1)
    count = text + found.placeholders
    table = TokenTable.text(torch.ones(1, count, dtype=torch.bool))
    media = torch.zeros(1, count, dtype=torch.bool)
    media[:, first : first + found.placeholders] = True
    item = table.item.clone()
    item[:, first:] = int(bool(found.views))
    role = table.role.clone()
    role[:, -1] = int(Role.TAG)
    unit = table.unit.clone()
    unit[:, first : first + found.placeholders] = _units(found, found.rows_per_view)
    kind = media.long() * int(Modality.IMAGE)
    table = replace(table, modality=kind, item=item, unit=unit, role=role)
    table = answers.positions.number(table)
    memory = TokenTable.text(torch.ones(1, found.tokens, dtype=torch.bool))
    ones = torch.ones_like(memory.item)
    unit = _units(found, found.tokens_per_view).unsqueeze(0)
    memory = replace(memory, modality=ones * int(Modality.IMAGE), item=ones, unit=unit)
    last = table.cut(slice(-1, None))
    step = replace(
        last,
        role=torch.full_like(last.role, int(Role.ASSISTANT)),
        order=last.order + 1,
        position=last.position + 1,
    )
    return Prompt(found, text, table, memory, step)


def _units(found: Geometry, counts: Sequence[int]) -> Int[Tensor, " row"]:
    """The unit of each of so many rows a view."""
    pairs = zip(found.views, counts, strict=False)
    return torch.tensor([view.unit for view, count in pairs for _ in range(count)]).long()


def squarest(tokens: int) -> tuple[int, int]:
    """The grid of exactly `tokens` tokens whose sides differ least."""
    rows = next((side for side in range(isqrt(tokens), 0, -1) if tokens % side == 0), 0)
    return rows, tokens // rows if rows else 0


def _geometry(answers: Answers, visual: int | None, image: Size, pictures: int) -> Geometry:
    found = geometry(answers, image, [image] * (pictures - 1))
    if visual is None or not found.views:
        return found
    if visual == 0:
        return Geometry((), (), (), (), 0)
    grid = squarest(visual)
    tokens = answers.connector.count(grid)
    kept = answers.compression.count(tokens)
    return Geometry(found.views, (grid,), (tokens,), (kept,), answers.fusion.placeholders(kept))

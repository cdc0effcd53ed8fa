"""Examples to model inputs: rows, identities, labels, pixels; counts come from geometry alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from chiasm.data.example import Example, Picture, Turn
from chiasm.data.render import Rendered, render
from chiasm.data.template import Template
from chiasm.data.views import picture, stack_views, view_pixels
from chiasm.errors import ChiasmError
from chiasm.spec import Answers, Geometry, geometry
from chiasm.stream import SHARED, Inputs, Modality, TokenTable

IGNORED = -100
Rendering = Callable[..., list[Rendered]]
"""Called as `chiasm.data.render.render` is."""
_SIDE = ("modality", "item", "unit", "turn", "role", "segment", "order")


@dataclass
class _Rows:
    """The rows of one sample, as growing columns."""

    ids: list[int] = field(default_factory=list)
    columns: dict[str, list[int]] = field(default_factory=lambda: {name: [] for name in _SIDE})
    place: list[tuple[float, float, float]] = field(default_factory=list)
    position: list[int] = field(default_factory=list)
    source: list[int] = field(default_factory=list)
    answer: list[bool] = field(default_factory=list)
    images: list[int] = field(default_factory=list)
    """The batch's image rows that belong to this sample, in order."""
    memory: list[tuple[int, int, float, float, float]] = field(default_factory=list)
    """(item, unit, t, y, x) of every memory token."""
    ends: list[int] = field(default_factory=list)
    """The last row of each segment: where an answer would continue."""

    def add(self, ids: Sequence[int], position: int, answer: bool, **identity: int) -> None:
        """Rows of one kind, at consecutive positions."""
        count = len(ids)
        self.ids += ids
        identity = {"modality": int(Modality.TEXT), "unit": 0, **identity}
        for name in _SIDE[:-1]:
            self.columns[name] += [identity[name]] * count
        # Reading order restarts with the segment, as its reader's does; the others are not between.
        self.columns["order"] += range(position, position + count)
        self.position += range(position, position + count)
        self.source += [-1] * count
        self.place += [(0.0, 0.0, 0.0)] * count
        self.answer += [answer] * count


@dataclass(frozen=True)
class Batch:
    """Model inputs, and for each sample the rows after which its segments continue."""

    inputs: Inputs
    ends: Int[Tensor, "batch segment"]
    """Row index of each segment's last row, -1 where a sample has fewer segments."""
    turns: tuple[tuple[tuple[int, int], ...], ...]
    """(example, turn) that each segment of each sample asks."""


@dataclass(frozen=True)
class Collator:
    """One way from examples to inputs, for training, evaluation and serving.

    Independent questions of one example are packed into one row sequence that shares the image,
    unless the system's media rows look at the question (then they share the encoded image only).
    """

    answers: Answers
    template: Template
    tokenizer: PreTrainedTokenizerBase
    rendering: Rendering = render
    """What writes a prompt's ids; chiasm's own unless a folder brings a chat template."""

    def batch(self, examples: Sequence[Example], *, teach: bool, packed: bool = True) -> Inputs:
        """Inputs of the examples, labelled when they are to teach."""
        return self.collate(examples, teach=teach, packed=packed).inputs

    def collate(self, examples: Sequence[Example], *, teach: bool, packed: bool = True) -> Batch:
        """Inputs, with where each question ends.

        Raises ChiasmError for a sample longer than the context, naming both lengths.
        """
        packed = packed and self.answers.shares_media
        pad = self.tokenizer.pad_token_id
        samples: list[_Rows] = []
        turns: list[tuple[tuple[int, int], ...]] = []
        pixels: list[Tensor] = []
        for number, example in enumerate(examples):
            pictures = [picture(source) for source in self._images(example)]
            plans = [geometry(self.answers, (p.height, p.width)) for p in pictures]
            views = list(range(len(pixels), len(pixels) + sum(len(p.views) for p in plans)))
            for image, plan in zip(pictures, plans, strict=True):
                pixels += view_pixels(image, plan.views, self.answers.pixels)
            whole = packed or not example.independent
            groups = [example.turns] if whole else [(turn,) for turn in example.turns]
            for first, group in enumerate(groups):
                rows = self._rows(example, group, plans, views, teach)
                samples.append(rows)
                count = len(rows.ends) if example.independent else 1
                turns.append(tuple((number, first + at) for at in range(count)))
        inputs = _inputs(samples, pixels, pad if isinstance(pad, int) else 0, teach)
        return Batch(
            replace(inputs, table=self.answers.positions.number(inputs.table)),
            _padded([rows.ends for rows in samples], -1),
            tuple(turns),
        )

    def _images(self, example: Example) -> tuple[Picture, ...]:
        """The example's images that this system looks at."""
        return example.images if self.answers.views.plan((1, 1)) else ()

    def _rows(
        self,
        example: Example,
        turns: Sequence[Turn],
        plans: Sequence[Geometry],
        views: list[int],
        teach: bool,
    ) -> _Rows:
        rows = _Rows(images=views)
        item, prefix, position, segment = 0, 0, 0, SHARED
        shown = 0
        rendered = self.rendering(
            self.template,
            self.tokenizer,
            example.images,
            turns,
            teach,
            independent=example.independent,
            system=example.system,
        )
        apart = example.independent and len(turns) > 1
        for run in rendered:
            if apart and run.turn + 1 != segment:
                if segment != SHARED:
                    rows.ends.append(len(rows.ids) - 1)
                else:
                    prefix = position
                segment, position = run.turn + 1, prefix
            turn = max(run.turn, 0)
            if run.image_index is None:
                rows.add(
                    run.ids,
                    position,
                    run.is_answer,
                    item=item,
                    turn=turn,
                    role=int(run.role),
                    segment=segment,
                )
                position += len(run.ids)
            elif plans:
                item += 1
                plan = plans[shown]
                shown += 1
                _place_image(rows, run, plan, item, turn, segment, position)
                position += plan.placeholders
        rows.ends.append(len(rows.ids) - 1)
        limit = self.answers.host.max_positions
        if len(rows.ids) and max(rows.position) + 1 > limit:
            raise ChiasmError(
                f"{example.id}: {max(rows.position) + 1} rows are more than the context of "
                f"{limit}; shorten the question or show fewer images"
            )
        return rows


def _place_image(
    rows: _Rows, run: Rendered, plan: Geometry, item: int, turn: int, segment: int, position: int
) -> None:
    """The placeholder rows of one image, and its memory tokens."""
    base = sum(1 for source in rows.source if source >= 0)
    rows.add(
        [0] * plan.placeholders,
        position,
        False,
        modality=int(Modality.IMAGE),
        item=item,
        turn=turn,
        role=int(run.role),
        segment=segment,
    )
    count = plan.placeholders
    each = count // max(1, len(plan.views))
    if count:
        rows.source[-count:] = range(base, base + count)
        rows.columns["unit"][-count:] = [at // each for at in range(count)]
    places = [spot for at in range(len(plan.views)) for spot in _spots(plan, at)]
    rows.memory += [(item, unit, 0.0, y, x) for unit, y, x in places]
    if len(places) == count:
        rows.place[-count:] = [(0.0, y, x) for _, y, x in places]


def _spots(plan: Geometry, view: int) -> list[tuple[int, float, float]]:
    """(view, y, x) of a view's tokens; tokens that are not patches stand in one row."""
    rows, columns = plan.grids[view]
    count = plan.tokens_per_view[view]
    if rows * columns != count:
        rows, columns = 1, count
    return [(view, float(y), float(x)) for y in range(rows) for x in range(columns)]


def _inputs(samples: list[_Rows], pixels: list[Tensor], pad: int, teach: bool) -> Inputs:
    valid = _padded([[1] * len(rows.ids) for rows in samples], 0).bool()
    columns = {name: _padded([rows.columns[name] for rows in samples], 0) for name in _SIDE}
    # Padding stands after every real row in reading order, so that plain causality stays plain.
    reach = torch.arange(valid.shape[1]).expand_as(valid)
    columns["order"] = torch.where(valid, columns["order"], reach)
    table = TokenTable(
        **columns,
        place=_padded_places([rows.place for rows in samples], valid.shape[1]),
        position=_padded([rows.position for rows in samples], 0).float().unsqueeze(-1),
        valid=valid,
    )
    labels = _padded([_labels(rows) for rows in samples], IGNORED) if teach else None
    images, image_valid = stack_views(pixels) if pixels else (None, None)
    return Inputs(
        ids=_padded([rows.ids for rows in samples], pad),
        table=table,
        source=_padded([rows.source for rows in samples], -1),
        images=images,
        image_valid=image_valid,
        owners=_padded([rows.images for rows in samples], -1) if pixels else None,
        memory=_memory([rows.memory for rows in samples]) if pixels else None,
        labels=labels,
    )


def _labels(rows: _Rows) -> list[int]:
    """The id each row must say next: an answer id that follows it in the same segment."""
    segment = rows.columns["segment"]
    nexts = zip(rows.ids[1:], rows.answer[1:], segment[1:], segment, strict=False)
    taught = [i if answer and after == before else IGNORED for i, answer, after, before in nexts]
    return [*taught, IGNORED]


def _memory(samples: list[list[tuple[int, int, float, float, float]]]) -> TokenTable:
    count = max(len(memory) for memory in samples)
    values = np.zeros((len(samples), count, 5), dtype=np.float32)
    valid = torch.zeros(len(samples), count, dtype=torch.bool)
    for number, memory in enumerate(samples):
        if memory:
            values[number, : len(memory)] = memory
            valid[number, : len(memory)] = True
    cells = torch.from_numpy(values)
    zeros = torch.zeros(len(samples), count, dtype=torch.long)
    order = torch.arange(count).expand(len(samples), -1)
    return TokenTable(
        modality=torch.full_like(zeros, int(Modality.IMAGE)),
        item=cells[..., 0].long(),
        unit=cells[..., 1].long(),
        place=cells[..., 2:],
        turn=zeros,
        role=zeros,
        segment=zeros,
        order=order,
        position=order.float().unsqueeze(-1),
        valid=valid,
    )


def _padded(rows: Sequence[Sequence[int]], value: int) -> Int[Tensor, "batch token"]:
    """Ragged integer rows as one tensor, padded at the end."""
    out = np.full((len(rows), max(len(row) for row in rows)), value, dtype=np.int64)
    for number, row in enumerate(rows):
        out[number, : len(row)] = row
    return torch.from_numpy(out)


def _padded_places(rows: Sequence[Sequence[tuple[float, float, float]]], width: int) -> Tensor:
    out = np.zeros((len(rows), width, 3), dtype=np.float32)
    for number, row in enumerate(rows):
        if row:
            out[number, : len(row)] = row
    return torch.from_numpy(out)

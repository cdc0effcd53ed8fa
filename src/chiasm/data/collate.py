"""Examples to model inputs: rows, identities, labels, pixels; counts come from geometry alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import torch
from jaxtyping import Float, Int
from PIL import Image
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from chiasm.data.example import Example, Picture, Turn
from chiasm.data.latents import to_latent
from chiasm.data.points import pointed_row
from chiasm.data.render import Rendered, render, tag_ids
from chiasm.data.rows import SIDE, SampleRows, place_image, place_latents
from chiasm.data.spotted_rows import spotted
from chiasm.data.template import Template
from chiasm.data.views import picture, stack_views, view_pixels
from chiasm.errors import ChiasmError
from chiasm.spec import Answers, Context, Geometry, Latent, Size, geometry
from chiasm.stream import SHARED, Inputs, Modality, Role, TokenTable

IGNORED = -100
Rendering = Callable[..., list[Rendered]]
"""Called as `chiasm.data.render.render` is."""


@dataclass(frozen=True)
class _Shown:
    """One picture as the batch holds it: what it becomes, and where its views are."""

    image: Image.Image
    plan: Geometry
    views: list[int]


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

    def collate(
        self,
        examples: Sequence[Example],
        *,
        teach: bool,
        packed: bool = True,
        drawing: bool = False,
    ) -> Batch:
        """Inputs, with where each question ends; `drawing` says that a picture is drawn there.

        Raises ChiasmError for a sample that stands beyond the context, naming both lengths.
        """
        packed = packed and self.answers.shares_media
        pad = self.tokenizer.pad_token_id
        samples: list[SampleRows] = []
        turns: list[tuple[tuple[int, int], ...]] = []
        pixels: list[Tensor] = []
        for number, example in enumerate(examples):
            opened = [picture(source) for source in self._images(example)]
            sizes = [(image.height, image.width) for image in opened]
            images = [
                self._shown(image, (*sizes[:at], *sizes[at + 1 :]), pixels)
                for at, image in enumerate(opened)
            ]
            whole = packed or not example.independent
            groups = [example.turns] if whole else [(turn,) for turn in example.turns]
            for first, group in enumerate(groups):
                rows = self._rows(example, group, images, pixels, teach, drawing)
                samples.append(rows)
                count = len(rows.ends) if example.independent else 1
                turns.append(tuple((number, first + at) for at in range(count)))
        inputs = _inputs(samples, pixels, pad if isinstance(pad, int) else 0, teach)
        table = self.answers.positions.number(inputs.table)
        self._refuse_long(table, [examples[group[0][0]].id for group in turns])
        return Batch(
            replace(inputs, table=table),
            _padded([rows.ends for rows in samples], -1),
            tuple(turns),
        )

    def words(self, ids: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        """The text of ids that were said; what only points at an image row has none."""
        return self.spelled(ids, skip_special_tokens=skip_special_tokens).strip()

    def spelled(self, ids: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        """The same with the spaces around it."""
        said = [token for token in ids if token < self.answers.host.vocabulary]
        return str(self.tokenizer.decode(said, skip_special_tokens=skip_special_tokens))

    def _images(self, example: Example) -> tuple[Picture, ...]:
        """The example's images that this system looks at."""
        always = self.answers.head.context is Context.ALWAYS
        return example.images if always or self.answers.views.plan((1, 1)) else ()

    def _shown(self, image: Image.Image, beside: Sequence[Size], pixels: list[Tensor]) -> _Shown:
        """A picture planned beside the others of its sample; its views join `pixels`."""
        plan = geometry(self.answers, (image.height, image.width), beside)
        first = len(pixels)
        pixels += view_pixels(image, plan.views, self.answers.pixels)
        return _Shown(image, plan, list(range(first, len(pixels))))

    def _rows(
        self,
        example: Example,
        turns: Sequence[Turn],
        images: Sequence[_Shown],
        pixels: list[Tensor],
        teach: bool,
        drawing: bool,
    ) -> SampleRows:
        rows = SampleRows()
        first_row: dict[int, int] = {}
        if not self.answers.head.pointers or not images:
            turns = [replace(turn, points=()) for turn in turns]
        item, prefix, position, segment = 0, 0, 0, SHARED
        drawing = drawing or any(turn.picture is not None for turn in turns)
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
        for number, run in enumerate(rendered):
            if apart and run.turn + 1 != segment:
                if segment != SHARED:
                    rows.ends.append(len(rows.ids) - 1)
                else:
                    prefix = position
                segment, position = run.turn + 1, prefix
            turn = max(run.turn, 0)
            if run.picture:
                if self.answers.head.latent is None:
                    continue
                item += 1
                last = not any(not apart or r.turn == run.turn for r in rendered[number + 1 :])
                identity = dict(item=item, turn=turn, segment=segment)
                drawn = cast(Picture, turns[run.turn].picture)
                position = self._draw(rows, drawn, position, pixels, identity, teach, last)
            elif run.image_index is None:
                ids = run.ids
                if run.point is not None:
                    shown = images[run.point.image].plan
                    row = first_row[run.point.image] + pointed_row(shown, run.point)
                    ids = [self.answers.host.vocabulary + row]
                rows.add(
                    ids,
                    position,
                    run.is_answer,
                    item=item,
                    turn=turn,
                    role=int(run.role),
                    segment=segment,
                )
                position += len(ids)
            elif images:
                item += 1
                first_row[run.image_index] = sum(place >= 0 for place in rows.source)
                identity = dict(item=item, turn=turn, segment=segment, role=int(run.role))
                position = self._show(rows, images[run.image_index], position, identity, drawing)
                if self._reads_words and example.spots:
                    rows.spotted.add(example.spots[run.image_index], item, self.tokenizer)
        rows.spotted.judge(turns[-1].answer)
        rows.ends.append(len(rows.ids) - 1)
        return rows

    def _refuse_long(self, table: TokenTable, names: Sequence[str]) -> None:
        """Rows that stand beyond the context; those that share a position count once."""
        limit = self.answers.host.max_positions
        last = table.position.amax(-1).masked_fill(~table.valid, 0).amax(1).ceil().long()
        for name, count in zip(names, (last + 1).tolist(), strict=True):
            if count > limit:
                raise ChiasmError(
                    f"{name}: {count} positions are more than the context of {limit}; shorten the "
                    "question or show fewer images"
                )

    def _show(
        self,
        rows: SampleRows,
        shown: _Shown,
        position: int,
        identity: dict[str, int],
        drawing: bool,
    ) -> int:
        """A picture that the following rows may look at: clean latents, features, or both.

        Returns the position after it.
        """
        head = self.answers.head
        if head.context is Context.ALWAYS or (drawing and head.context is Context.DRAWING):
            latent = cast(Latent, head.latent)
            rows.latents.append(to_latent(shown.image, latent))
            position = place_latents(rows, latent, position, identity, self._clean)
        rows.images += shown.views
        tags = [
            (tag_ids(self.tokenizer, view.tag), tag_ids(self.tokenizer, view.close))
            for view in shown.plan.views
        ]
        return place_image(rows, shown.plan, position, identity, tags)

    def _draw(
        self,
        rows: SampleRows,
        source: Picture,
        position: int,
        pixels: list[Tensor],
        identity: dict[str, int],
        teach: bool,
        last: bool,
    ) -> int:
        """A picture that the answer draws: its draft, and unless it comes last, what the following
        rows see of it. Returns the position after it.
        """
        latent = cast(Latent, self.answers.head.latent)
        said = identity | {"role": int(Role.ASSISTANT)}
        if teach:
            rows.latents.append(to_latent(picture(source), latent))
            draft = identity | {"role": int(Role.DRAFT)}
            position = place_latents(rows, latent, position, draft, self._clean)
        if last:
            return position
        return self._show(rows, self._shown(picture(source), (), pixels), position, said, True)

    @property
    def _reads_words(self) -> bool:
        """Whether words that were found in pictures are read."""
        return bool(getattr(self.answers.fusion, "reads_words", False))

    @property
    def _clean(self) -> float:
        """The time of clean latents."""
        return self.answers.teaching.objective.flow.direction.clean


def _inputs(samples: list[SampleRows], pixels: list[Tensor], pad: int, teach: bool) -> Inputs:
    valid = _padded([[1] * len(rows.ids) for rows in samples], 0).bool()
    columns = {name: _padded([rows.columns[name] for rows in samples], 0) for name in SIDE}
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
        latents=_latents(samples),
        latent_of=_padded([rows.latent_of for rows in samples], -1) if _drawn(samples) else None,
        spotted=spotted([rows.spotted for rows in samples], teach=teach) if pixels else None,
    )


def _drawn(samples: list[SampleRows]) -> bool:
    """Whether any row is a latent."""
    return any(rows.latents for rows in samples)


def _latents(samples: list[SampleRows]) -> Float[Tensor, "batch latent channel"] | None:
    """Each sample's latent rows in a row, zeros after the last."""
    if not _drawn(samples):
        return None
    held = [torch.cat(rows.latents) if rows.latents else None for rows in samples]
    known = [latents for latents in held if latents is not None]
    count, channels = max(len(latents) for latents in known), known[0].shape[1]
    out = torch.zeros(len(samples), count, channels)
    for sample, latents in zip(out, held, strict=True):
        if latents is not None:
            sample[: len(latents)] = latents
    return out


def _labels(rows: SampleRows) -> list[int]:
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

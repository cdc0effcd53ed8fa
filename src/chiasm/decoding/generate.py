"""The generation loop: prefill once, then one new row a segment a step."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from jaxtyping import Int
from torch import Tensor

from chiasm.backbone import Cache, StaticCache
from chiasm.decoding.sampling import Sampling
from chiasm.errors import Misuse
from chiasm.stream import Inputs, Modality, Role, TokenTable
from chiasm.stream.table import take


class Generates(Protocol):
    """What the loop needs of a model."""

    def hidden(self, inputs: Inputs, *, cache: Cache | None = None) -> Tensor: ...

    def scores(self, hidden: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Generated:
    """New ids `[batch, segment, step]`, `pad` after the end, and how many of each row are real
    (the stop id included).
    """

    ids: Int[Tensor, "batch segment step"]
    lengths: Int[Tensor, "batch segment"]

    def rows(self, stop: Collection[int] = ()) -> list[list[list[int]]]:
        """The ids of every segment of every sample, without stop ids and padding."""
        return [
            [
                [i for i in ids[:length].tolist() if i not in stop]
                for ids, length in zip(sample, lengths, strict=True)
            ]
            for sample, lengths in zip(self.ids, self.lengths.tolist(), strict=True)
        ]


def generate(
    model: Generates,
    inputs: Inputs,
    ends: Int[Tensor, "batch segment"] | None = None,
    *,
    max_new: int,
    stop: Collection[int] = (),
    pad: int = 0,
    sampling: Sampling | None = None,
    cache: Cache | None = None,
) -> Generated:
    """Continue every segment of every sample until a stop id or `max_new` ids.

    `ends[b, s]` is the row after which segment s of sample b continues (-1: no such segment); by
    default the last valid row of each sample.
    """
    produced: list[Tensor] = []
    alive_at: list[Tensor] = []
    for ids, alive in steps(
        model, inputs, ends, max_new=max_new, stop=stop, pad=pad, sampling=sampling, cache=cache
    ):
        produced.append(ids)
        alive_at.append(alive)
    return Generated(torch.stack(produced, dim=-1), torch.stack(alive_at, dim=-1).sum(-1))


@torch.inference_mode()
def steps(
    model: Generates,
    inputs: Inputs,
    ends: Int[Tensor, "batch segment"] | None = None,
    *,
    max_new: int,
    stop: Collection[int] = (),
    pad: int = 0,
    sampling: Sampling | None = None,
    cache: Cache | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """The same, a step at a time: ids `[batch, segment]`, and which of them are real."""
    if max_new < 1:
        raise Misuse(f"cannot generate {max_new} tokens; ask for at least 1")
    sampling = sampling or Sampling()
    ends = last_rows(inputs.table) if ends is None else ends
    generator = sampling.generator(inputs.ids.device)
    stops = torch.tensor(sorted(stop), dtype=torch.long, device=ends.device)
    alive = ends >= 0
    at = ends.clamp(min=0)
    cache = StaticCache(_capacity(inputs.table, at, max_new)) if cache is None else cache
    hidden = take(model.hidden(inputs, cache=cache), at)
    table = inputs.table.rows(at)
    for step in range(1, max_new + 1):
        ids = sampling.choose(model.scores(hidden).flatten(0, 1), generator).view_as(at)
        ids = torch.where(alive, ids, pad)
        yield ids, alive
        alive = alive & ~torch.isin(ids, stops)
        if step == max_new or not bool(alive.any()):
            return
        row = _following(table, step, alive)
        source = torch.full_like(ids, -1)
        hidden = model.hidden(Inputs(ids=ids, table=row, source=source), cache=cache)


def last_rows(table: TokenTable) -> Int[Tensor, "batch 1"]:
    """The last valid row of each sample."""
    places = torch.arange(table.shape[1], device=table.device)
    return places.expand(table.shape).masked_fill(~table.valid, -1).amax(1, keepdim=True)


def _following(table: TokenTable, step: int, alive: Tensor) -> TokenTable:
    """Identities of the rows `step` places after the prompt's last ones."""
    return TokenTable(
        modality=torch.full_like(table.modality, int(Modality.TEXT)),
        item=table.item,
        unit=torch.zeros_like(table.unit),
        place=torch.zeros_like(table.place),
        turn=table.turn,
        role=torch.full_like(table.role, int(Role.ASSISTANT)),
        segment=table.segment,
        order=table.order + step,
        position=table.position + step,
        valid=alive,
    )


def _capacity(table: TokenTable, ends: Int[Tensor, "batch segment"], max_new: int) -> int:
    """Rows the cache will hold: planned layouts pad media and text rows apart."""
    media = (table.modality > 0).sum(1)
    widest = int(media.max()) + int((table.shape[1] - media).max())
    return widest + ends.shape[1] * (max_new - 1)

"""The visual tokens of one sample, and what a reducer leaves of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from chiasm.compressing.looking import ItemLooks
from chiasm.compression.evidence import Evidence, Look, whole
from chiasm.compression.reducer import Reducer, Scope
from chiasm.errors import Misuse


@dataclass
class Sample:
    """A sample's visual tokens, in the order of its rows."""

    rows: Tensor
    """Which of the uncut call's rows each is."""
    item: Tensor
    unit: Tensor
    place: Tensor
    seen: dict[Look, Tensor]

    def __len__(self) -> int:
        return self.rows.numel()

    def keep(self, chosen: Tensor) -> None:
        """Forget the others."""
        self.rows, self.item, self.unit = self.rows[chosen], self.item[chosen], self.unit[chosen]
        self.place = self.place[chosen]
        self.seen = {look: value[chosen] for look, value in self.seen.items()}

    def groups(self, scope: Scope) -> list[Tensor]:
        """Token numbers of each group among which a reducer chooses."""
        if scope is Scope.SAMPLE or not len(self):
            return [torch.arange(len(self), device=self.rows.device)] if len(self) else []
        key = self.item
        if scope is Scope.UNIT:
            # A line break belongs to the tile before it.
            last = torch.where(self.unit >= 0, torch.arange(len(self), device=key.device), -1)
            unit = self.unit[last.cummax(0).values.clamp(min=0)]
            key = key * (int(unit.max()) + 2) + unit
        return [(key == one).nonzero().squeeze(1) for one in key.unique()]


@dataclass(frozen=True)
class Seen:
    """A sample as the decoder has it at a site."""

    hidden: Tensor
    """Of its visual tokens."""
    slots: Tensor
    """Where they are among the batch's rows now."""
    row: Tensor
    """Where they are among the sample's own rows."""
    looks: Mapping[Look, Tensor]


@dataclass(frozen=True)
class Left:
    """What a reducer left of a sample."""

    everything: bool
    slots: Tensor
    """Of the tokens that stay."""
    gone: Tensor
    """Slots of the others."""
    hidden: Tensor | None
    """What those that stay hold, where that has changed."""


def reduced(reducer: Reducer, sample: Sample, seen: Seen, projector: nn.Module | None) -> Left:
    """Run a reducer over a sample's groups; the sample then holds what stays."""
    evidence = Evidence(
        hidden=seen.hidden,
        item=sample.item,
        unit=sample.unit,
        place=sample.place,
        row=seen.row,
        seen={**sample.seen, **seen.looks},
    )
    stays = torch.zeros(len(sample), dtype=torch.bool, device=seen.slots.device)
    hidden, changed = seen.hidden, False
    for group in sample.groups(reducer.scope):
        left = reducer.reduce(_part(evidence, group))
        chosen = group[left.index]
        stays[chosen] = True
        values = left.hidden
        if left.encoded is not None:
            assert projector is not None
            values = projector(left.encoded.to(next(projector.parameters()).dtype))
            loose = (sample.unit[chosen] < 0).unsqueeze(-1)
            values = torch.where(loose, seen.hidden[chosen], values.to(seen.hidden))
        if values is not None:
            hidden = hidden.index_copy(0, chosen, values.to(hidden))
            changed = True
    everything = bool(stays.all()) and not changed
    found = Left(
        everything, seen.slots[stays], seen.slots[~stays], hidden[stays] if changed else None
    )
    if not everything:
        sample.keep(stays)
    return found


def _part(evidence: Evidence, group: Tensor) -> Evidence:
    chosen = torch.zeros(evidence.tokens, dtype=torch.bool, device=group.device)
    chosen[group] = True
    return evidence if bool(chosen.all()) else evidence.part(chosen)


def samples_of(ids: Tensor, items: Mapping[int, Sequence[ItemLooks]]) -> list[Sample]:
    """The visual tokens of every sample: items are taken in the order of their placeholders.

    Beams repeat every sample so many times in a row; its items then serve all of them.

    Raises:
        Misuse: the placeholders are not those of whole items.
    """
    there = sum(int((ids == token).sum()) for token in items)
    known = sum(item.tokens for found in items.values() for item in found)
    beams = there // known if known else 1
    if there != beams * known or not beams or ids.shape[0] % beams:
        raise Misuse(
            f"{there} placeholders in the prompts for {known} visual tokens; give the prompts uncut"
        )
    queues = {token: iter(found) for token, found in items.items()}
    return [
        replace(one) for one in (_sample(row, queues) for row in ids[::beams]) for _ in range(beams)
    ]


def _sample(ids: Tensor, queues: Mapping[int, Iterator[ItemLooks]]) -> Sample:
    parts: list[tuple[Tensor, ItemLooks]] = []
    for token, queue in queues.items():
        where = (ids == token).nonzero().squeeze(1)
        start = 0
        while start < where.numel():
            item = next(queue, None)
            if item is None or start + item.tokens > where.numel():
                raise Misuse(
                    f"{where.numel()} placeholders of id {token} in a sample are not the tokens of "
                    f"whole pictures or clips; give the prompt uncut"
                )
            parts.append((where[start : start + item.tokens], item))
            start += item.tokens
    parts.sort(key=lambda part: int(part[0][0]))
    if not parts:
        none = ids.new_zeros(0)
        return Sample(none, none, none, ids.new_zeros(0, 2), {})
    looks = parts[0][1].seen
    return Sample(
        torch.cat([rows for rows, _ in parts]),
        torch.cat([torch.full_like(rows, n) for n, (rows, _) in enumerate(parts)]),
        torch.cat([item.unit for _, item in parts]),
        torch.cat([item.place for _, item in parts]),
        {
            look: torch.cat([item.seen[look] for _, item in parts])
            for look in looks
            if not whole(look)
        },
    )

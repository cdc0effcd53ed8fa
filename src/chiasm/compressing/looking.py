"""The looks that reducers need, taken while the host's encoder runs."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from chiasm.compressing.host import Call, Host, Medium
from chiasm.compressing.taking import at_attention, at_pixels
from chiasm.compression.evidence import BlockKeys, BlockLook, Encoded, Look, PixelLook
from chiasm.errors import Misuse


@dataclass(frozen=True)
class ItemLooks:
    """Of one picture or clip, token by token."""

    unit: Tensor
    place: Tensor
    seen: dict[Look, Tensor]

    @property
    def tokens(self) -> int:
        return self.unit.numel()


@dataclass
class Looking:
    """What the encoder showed while it ran for one prompt, and what is made of it."""

    host: Host
    looks: Sequence[Look]
    calls: list[tuple[Medium, Call]] = field(default_factory=list)
    """The encoder's runs, at most one a medium."""
    maps: dict[Look, list[Tensor]] = field(default_factory=lambda: defaultdict(list))
    """Unit by unit."""
    encoded: list[Tensor] = field(default_factory=list)
    """What the projector was given, run by run."""

    def watch(self, block: nn.Module, looks: Sequence[Look], told: Call) -> None:
        """Take the looks at one block's attention."""
        for look, values in at_attention(self.host.tower, block, looks, told):
            self.maps[look].append(values)

    def items(self) -> dict[int, list[ItemLooks]]:
        """By placeholder id, in the order of the prompt: what is known of every item's tokens."""
        found: dict[int, list[ItemLooks]] = {}
        start = 0
        for medium, call in self.calls:
            grids = self.host.carrier.grids(call, medium)
            units = slice(start, start + len(grids))
            start += len(grids)
            found[medium.token] = self._of_medium(grids, units, call, medium)
        return found

    def _of_medium(
        self, grids: Sequence[Tensor], units: slice, call: Call, medium: Medium
    ) -> list[ItemLooks]:
        carry = self.host.carrier.carry
        device = call[medium.pixels].device
        places = carry([grid.to(device).float() for grid in grids], call, medium)
        carried: dict[Look, list[Tensor]] = {}
        for look in self.looks:
            if isinstance(look, PixelLook):
                carried[look] = carry(self._of_pixels(look, call, medium), call, medium)
            elif isinstance(look, BlockLook | BlockKeys):
                carried[look] = carry(self.maps[look][units], call, medium)
            elif isinstance(look, Encoded) and self.host.projector is not None:
                carried[look] = self._encoded(grids, units, call, medium)
        return [
            _item(place, {look: items[number] for look, items in carried.items()})
            for number, place in enumerate(places)
        ]

    def _encoded(
        self, grids: Sequence[Tensor], units: slice, call: Call, medium: Medium
    ) -> list[Tensor]:
        rows = torch.cat([part.flatten(0, -3) if part.dim() > 3 else part for part in self.encoded])
        if rows.shape[1] == grids[0].shape[0]:
            return self.host.carrier.carry(list(rows[units]), call, medium)
        return list(rows[units])

    def _of_pixels(self, look: PixelLook, call: Call, medium: Medium) -> list[Tensor]:
        host, given = self.host, self.host.carrier.pixels(call, medium)
        if given is None:
            raise Misuse(
                "this host's encoder is given patches, not pictures: a method that reads pixels "
                "cannot be attached to it"
            )
        return [at_pixels(look, one, host.mean, host.std, host.patch) for one in given]


def _item(place: Tensor, carried: dict[Look, Tensor]) -> ItemLooks:
    """Places on the tokens' own grid; a token of no patch has the least of every score."""
    loose = place.isnan().any(-1)
    inside = place[~loose]
    scale = _stride(inside)
    numbers = place.new_full(place.shape, -1)
    numbers[~loose] = (inside / inside.new_tensor([1, scale, scale])).floor()
    numbers = numbers.long()
    seen = {}
    for look, value in carried.items():
        gaps = value.isnan()
        least = 0.0 if value.shape[-1] > 1 else _least(value[~gaps])
        value = value.masked_fill(gaps, least)
        seen[look] = value.squeeze(-1) if value.shape[-1] == 1 else value
    return ItemLooks(numbers[:, 0], numbers[:, 1:], seen)


def _stride(inside: Tensor) -> float:
    """Patches between neighbouring tokens of a row."""
    columns = inside[:, 2].unique()
    steps = columns.diff()
    return max(1.0, round(float(steps.median()))) if steps.numel() else 1.0


def _least(values: Tensor) -> float:
    return float(values.min()) if values.numel() else 0.0


def told_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """What an attention module was called with, its first argument by name."""
    return {"hidden_states": args[0], **kwargs} if args else dict(kwargs)

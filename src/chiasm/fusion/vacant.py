"""Rows without content: media hold places in the sequence, and enter elsewhere."""

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor, nn

from chiasm.fusion.entry import AsMemory
from chiasm.spec import Host, Work
from chiasm.spec.reading import Reading
from chiasm.spec.slots import SlotParts, Slots


@dataclass(frozen=True)
class VacantRows(AsMemory):
    """A media token's row is 0 as the first layer begins (Inverse-LLaVA, arXiv 2508.12466).

    The tokens themselves are a memory that a layer's weights read (`chiasm.experts.VisionInside`);
    since a norm of 0 is 0, what such a row becomes is theirs alone.
    """

    def placeholders(self, tokens: int) -> int:
        return tokens

    def fill(self, host: Host, parts: SlotParts) -> Slots:
        return Slots(before={0: Vacate()})

    def work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        return ()

    def cached(self, host: Host, tokens: int) -> int:
        return 0


class Vacate(nn.Module):
    """h = 0 at rows that stand for a media token."""

    def forward(
        self, hidden: Float[Tensor, "batch token width"], reading: Reading
    ) -> Float[Tensor, "batch token width"]:
        if reading.source is None:
            return hidden
        return hidden.masked_fill((reading.source >= 0).unsqueeze(-1), 0.0)

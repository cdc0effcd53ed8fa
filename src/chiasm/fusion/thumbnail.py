"""A thumbnail in the sequence, its tiles read beside it: NVLM's forms by one number."""

from collections.abc import Sequence
from dataclasses import dataclass

from chiasm.fusion.entry import AsRowsAndMemory
from chiasm.spec import Fusion, Host, Work
from chiasm.spec.slots import SlotParts, Slots
from chiasm.stream import RowPlan


@dataclass(frozen=True, kw_only=True)
class ThumbnailInline(AsRowsAndMemory):
    """The last `inline` tokens of an image, its thumbnail's, take rows; layers read the others
    (NVLM-H, arXiv 2409.11402). With 0 no token takes a row (NVLM-X); all of them in the sequence
    are `InSequence` (NVLM-D). Which tokens a row reads, the thumbnail's left out, is the memory's
    rule.
    """

    inline: int
    read: Fusion

    def plan(self, layer: int) -> RowPlan:
        return self.read.plan(layer)

    def placeholders(self, tokens: int) -> int:
        return min(tokens, self.inline)

    def fill(self, host: Host, parts: SlotParts) -> Slots:
        return self.read.fill(host, parts)

    def work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        return self.read.work(host, text, tokens, width)

    def cached(self, host: Host, tokens: int) -> int:
        return self.read.cached(host, tokens)

    def idle(self, host: Host) -> int:
        return self.read.idle(host)

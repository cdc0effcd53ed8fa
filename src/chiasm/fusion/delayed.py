"""Delayed, attention-only entry: media join in mid-stack, as keys and values that never change."""

from collections.abc import Sequence
from dataclasses import dataclass

from chiasm.fusion.entry import AsRows
from chiasm.spec import Host, Work
from chiasm.spec.slots import SlotParts, Slots
from chiasm.stream import ALL, TEXT, RowPlan


@dataclass(frozen=True, kw_only=True)
class DelayedKeys(AsRows):
    """PAL / LAL (arXiv 2506.10423): layers before `first` run text alone. From it on, media rows
    make keys and values with the host's own norm and weights; they make no queries and skip output
    and feed-forward, so that every layer reads the same tokens.
    """

    first: int

    def plan(self, layer: int) -> RowPlan:
        return RowPlan(TEXT, ALL if layer >= self.first else TEXT, TEXT, TEXT)

    def fill(self, host: Host, parts: SlotParts) -> Slots:
        return Slots()

    def work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        return ()

    def cached(self, host: Host, tokens: int) -> int:
        return 0

"""The null answer: nothing enters."""

from collections.abc import Sequence
from dataclasses import dataclass

from chiasm.spec import Host, Work
from chiasm.spec.slots import SlotParts, Slots
from chiasm.stream import RowPlan


@dataclass(frozen=True)
class NoFusion:
    """Text alone; images in a prompt are left out, without a row."""

    @property
    def plan(self) -> RowPlan:
        return RowPlan()

    @property
    def reads_memory(self) -> bool:
        return False

    def placeholders(self, tokens: int) -> int:
        return 0

    def fill(self, host: Host, parts: SlotParts) -> Slots:
        return Slots()

    def work(self, host: Host, text: int, tokens: int, width: int) -> Sequence[Work]:
        return ()

    def cached(self, host: Host, tokens: int) -> int:
        return 0
